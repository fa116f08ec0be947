/** Many starts at once, each pool's in one request to its leader. */
import { ProblemError, type Problem } from "../../schema/problem.ts";
import type { Asker, StartItem } from "../control/inputs.ts";
import type { ItemOutcome } from "../control/outputs.ts";
import type { ApiParts } from "./deps.ts";
import type { ApiProblem } from "./problem.ts";
import { keyToRepeat } from "./start-items.ts";

interface Placed {
  readonly index: number;
  readonly start: StartItem;
}

/**
 * Asks each pool for its items; returns one outcome for each start, in order. When all are of one pool its failure is the
 * request's own, with a key for each item where the outcome is unknown; else it is that of its items.
 */
export async function startAll(
  parts: ApiParts,
  starts: readonly StartItem[],
  asker: Asker,
  gone?: AbortSignal,
): Promise<readonly ItemOutcome[]> {
  const found: ItemOutcome[] = Array.from({ length: starts.length });
  const byPool = new Map<string, Placed[]>();
  for (const [index, start] of starts.entries()) {
    try {
      const pool = await parts.pools.ofTask(start.taskId);
      const placed = byPool.get(pool);
      if (placed) placed.push({ index, start });
      else byPool.set(pool, [{ index, start }]);
    } catch (error) {
      found[index] = { ok: false, problem: problemOf(error) };
    }
  }
  const askPool = async (pool: string, placed: readonly Placed[]): Promise<void> => {
    try {
      const outcomes = await askOne(parts, pool, placed, { asker, gone });
      for (const [at, { index }] of placed.entries()) found[index] = outcomes[at] as ItemOutcome;
    } catch (error) {
      if (byPool.size === 1) throw withKeys(error, placed);
      const p = problemOf(error);
      for (const { index, start } of placed) {
        found[index] = { ok: false, problem: p.code === "outcome-unknown" ? { ...p, idempotencyKey: keyToRepeat(start) } : p };
      }
    }
  };
  await Promise.all([...byPool].map(([pool, placed]) => askPool(pool, placed)));
  return found;
}

async function askOne(
  parts: ApiParts,
  pool: string,
  placed: readonly Placed[],
  { asker, gone }: { readonly asker: Asker; readonly gone: AbortSignal | undefined },
): Promise<readonly ItemOutcome[]> {
  const items = placed.map(({ start }) => start);
  const outcome = await parts.plane.ask(pool, { kind: "startRuns", items, ...asker }, gone);
  if (outcome.kind === "runs" && outcome.items.length === placed.length) return outcome.items;
  throw new Error(`expected ${placed.length} runs, got ${outcome.kind}`);
}

function withKeys(error: unknown, placed: readonly Placed[]): unknown {
  if (!(error instanceof ProblemError) || error.problem.code !== "outcome-unknown") return error;
  const keyed: ApiProblem = { ...error.problem, idempotencyKeys: placed.map(({ start }) => keyToRepeat(start)) };
  return new ProblemError(keyed, { cause: error });
}

/** The problem of an error that is one; anything else is a bug and goes on its way. */
function problemOf(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem;
  throw error;
}
