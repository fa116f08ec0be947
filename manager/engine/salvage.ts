/**
 * A batch that the store refuses for good, or that the core cannot step: the state is thrown away, loaded again, and the
 * kept inputs are tried one per commit. The one that fails alone is set aside; its neighbours live (rule 19). Rare, so slow is fine.
 */
import { managerLimits } from "../../schema/limits.ts";
import type { Reports } from "../../schema/messages.ts";
import type { Input } from "../control/inputs.ts";
import type { EngineDeps } from "./deps.ts";
import type { Waiting } from "./queue.ts";
import type { Decided, Turn } from "./turn.ts";

export type Onward = "lead" | { readonly aboveTerm: number };
const deposed: Onward = { aboveTerm: 0 };

export interface SalvageDeps {
  /** False: the lease is not ours any more. */
  readonly reload: () => Promise<boolean>;
  readonly stepOne: (input: Input) => Promise<Turn>;
  readonly commit: (turn: Decided) => Promise<"applied" | "failed" | "deposed" | "stopped">;
  readonly letOut: (waiting: Waiting, turn: Turn) => Onward;
  readonly failRequest: (ticket: number, reason: string) => void;
  readonly engine: Pick<EngineDeps, "options" | "dice" | "clock" | "log" | "watch">;
}

/** What one input needs in turn: as it is, then (a report) as an unreadable one, then only as evidence. */
export async function salvage(taken: readonly Waiting[], deps: SalvageDeps): Promise<Onward> {
  if (!(await deps.reload())) return deposed;
  for (const waiting of taken.flatMap(split)) {
    const done = await tryOne(waiting, deps);
    if (done !== "lead") return done;
  }
  return "lead";
}

/** Reports go on one by one, so that one bad item never takes the other items of its message with it. */
function split(waiting: Waiting): Waiting[] {
  const { input } = waiting;
  if (input.kind !== "reports" || input.message.items.length + input.message.unreadable.length <= 1) return [waiting];
  const single = (items: Reports["items"], unreadable: Reports["unreadable"]): Waiting => ({
    ...waiting,
    input: { ...input, message: { ...input.message, items, unreadable } },
  });
  const bySeq = [
    ...input.message.items.map((item) => ({ seq: item.seq, waiting: single([item], []) })),
    ...input.message.unreadable.map((item) => ({ seq: item.seq, waiting: single([], [item]) })),
  ];
  return bySeq.toSorted((a, b) => a.seq - b.seq).map((each) => each.waiting);
}

async function tryOne(waiting: Waiting, deps: SalvageDeps): Promise<Onward> {
  const first = await attempt(waiting, deps);
  if (first.kind === "onward") return first.onward;
  const { input } = waiting;
  if (input.kind === "request") {
    const { log, options } = deps.engine;
    log.error({ pool: options.pool, request: input.request.kind, why: first.why }, "a request is set aside");
    deps.failRequest(input.ticket, `this request cannot be stored: ${first.why}`);
    return "lead";
  }
  const [item] = input.kind === "reports" ? input.message.items : [];
  if (input.kind === "reports" && item) {
    const raw = JSON.stringify(item);
    const unreadable = [{ seq: item.seq, attempt: item.attempt, kind: item.kind, raw, why: first.why }];
    const second = await attempt({ ...waiting, input: { ...input, message: { ...input.message, items: [], unreadable } } }, deps);
    if (second.kind === "onward") return second.onward;
  }
  return await setAside(waiting, first.why, deps);
}

type Tried = { readonly kind: "onward"; readonly onward: Onward } | { readonly kind: "failed"; readonly why: string };

async function attempt(waiting: Waiting, deps: SalvageDeps): Promise<Tried> {
  let turn: Turn;
  try {
    turn = await deps.stepOne(waiting.input);
  } catch (error) {
    if (!(await deps.reload())) return { kind: "onward", onward: deposed };
    const { log, options } = deps.engine;
    log.error({ err: error, pool: options.pool, input: waiting.input.kind }, "the core cannot step this input");
    return { kind: "failed", why: error instanceof Error ? error.message : String(error) };
  }
  const outcome = await deps.commit(turn);
  switch (outcome) {
    case "applied":
      return { kind: "onward", onward: deps.letOut(waiting, turn) };
    case "failed":
      if (!(await deps.reload())) return { kind: "onward", onward: deposed };
      return { kind: "failed", why: "the database refuses its rows" };
    case "deposed":
    case "stopped":
      return { kind: "onward", onward: deposed };
  }
}

async function setAside(waiting: Waiting, why: string, deps: SalvageDeps): Promise<Onward> {
  if (waiting.input.kind === "tick" || waiting.input.kind === "place" || waiting.input.kind === "takenBack") return "lead";
  const { options, dice, clock, log, watch } = deps.engine;
  const { pool } = options;
  const row = {
    id: dice.id(),
    pool,
    at: clock.now().wall,
    source: waiting.input.kind,
    why: why.slice(0, 500),
    raw: JSON.stringify(waiting.input).slice(0, 16_384),
  };
  log.error({ pool, setAside: row.id, source: row.source, why, kept: managerLimits.setAside }, "a message is set aside");
  const outcome = await deps.commit({ steps: [], changes: [{ op: "insertSetAside", row }] });
  if (outcome === "applied") watch?.setAside?.(pool);
  return outcome === "applied" || outcome === "failed" ? "lead" : deposed;
}
