/**
 * A batch that the store refuses for good, or that the core cannot step: the state is thrown away, loaded again, and the
 * kept inputs are tried one per commit. The one that fails alone is set aside; its neighbours live (rule 19). Rare, so slow is fine.
 */
import type { Log } from "../../schema/kit/log.ts";
import { managerLimits } from "../../schema/limits.ts";
import type { Reports } from "../../schema/messages.ts";
import type { Input } from "../control/inputs.ts";
import type { Waiting } from "./queue.ts";
import type { Decided, Turn } from "./turn.ts";
import type { EngineWatch } from "./watch.ts";

export type Onward = "lead" | { readonly aboveTerm: number };

export interface SalvageDeps {
  readonly reload: () => Promise<void>;
  readonly stepOne: (input: Input) => Promise<Turn>;
  readonly commit: (turn: Decided) => Promise<"applied" | "failed" | "deposed" | "stopped">;
  readonly letOut: (waiting: Waiting, turn: Turn) => Onward;
  readonly failRequest: (ticket: number, reason: string) => void;
  readonly pool: string;
  readonly newId: () => string;
  readonly wall: () => number;
  readonly log: Log;
  readonly watch: EngineWatch | undefined;
}

/** What one input needs in turn: as it is, then (a report) as an unreadable one, then only as evidence. */
export async function salvage(taken: readonly Waiting[], deps: SalvageDeps): Promise<Onward> {
  await deps.reload();
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
    deps.log.error({ pool: deps.pool, request: input.request.kind, why: first.why }, "a request is set aside");
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
    await deps.reload();
    deps.log.error({ err: error, pool: deps.pool, input: waiting.input.kind }, "the core cannot step this input");
    return { kind: "failed", why: error instanceof Error ? error.message : String(error) };
  }
  const outcome = await deps.commit(turn);
  switch (outcome) {
    case "applied":
      return { kind: "onward", onward: deps.letOut(waiting, turn) };
    case "failed":
      await deps.reload();
      return { kind: "failed", why: "the database refuses its rows" };
    case "deposed":
    case "stopped":
      return { kind: "onward", onward: { aboveTerm: 0 } };
  }
}

async function setAside(waiting: Waiting, why: string, deps: SalvageDeps): Promise<Onward> {
  if (waiting.input.kind === "tick" || waiting.input.kind === "place") return "lead";
  const row = {
    id: deps.newId(),
    pool: deps.pool,
    at: deps.wall(),
    source: waiting.input.kind,
    why: why.slice(0, 500),
    raw: JSON.stringify(waiting.input).slice(0, 16_384),
  };
  deps.log.error(
    { pool: deps.pool, setAside: row.id, source: row.source, why, kept: managerLimits.setAside },
    "a message is set aside",
  );
  const outcome = await deps.commit({ steps: [], changes: [{ op: "insertSetAside", row }] });
  if (outcome === "applied") deps.watch?.setAside?.(deps.pool);
  return outcome === "applied" || outcome === "failed" ? "lead" : { aboveTerm: 0 };
}
