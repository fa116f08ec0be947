/** What is counted of each batch that holds. It runs between a commit and its answers: counting, and nothing else. */
import type { End } from "../../schema/end.ts";
import { eventKinds, type EventKind } from "../../schema/event.ts";
import type { Count, Counter, Family, Spread } from "../../schema/kit/metrics/families.ts";
import { isTerminal, runStates } from "../../schema/run.ts";
import type { EventRecord } from "../control/records.ts";
import type { ControlState } from "../control/state.ts";
import type { EngineWatch, HeldBatch } from "../engine/watch.ts";
import { makeFamilies, type Families } from "./metrics-engine-families.ts";
import { causeOfRefusal, refusalCauses } from "./metrics-refusals.ts";

const ends: readonly End["how"][] = ["exited", "signalled", "timedOut", "stopped", "refused", "failedToStart", "lost"];
const downItems = ["start", "stop", "signal", "ask", "ack", "logsAck", "sync", "settings", "drain"];
const reportKinds = ["accepted", "running", "stopping", "progress", "end"];

export interface EngineCounts {
  readonly families: readonly Family[];
  readonly watch: EngineWatch;
  /** A batch's events, after it is durable. */
  readonly events: (events: readonly EventRecord[]) => void;
}

/** One pool's cells, found once. */
interface PoolCells {
  readonly events: ReadonlyMap<string, Count>;
  readonly created: Count;
  readonly ended: ReadonlyMap<string, Count>;
  readonly attemptsEnded: ReadonlyMap<string, Count>;
  readonly refused: ReadonlyMap<string, Count>;
  readonly setAside: Count;
  readonly storeFailures: Count;
  readonly requestsLeft: Count;
  readonly inputs: Spread;
  readonly changes: Spread;
  readonly step: Spread;
  readonly place: Spread;
  readonly commit: Spread;
  readonly wait: Spread;
  readonly answer: Spread;
  readonly run: Spread;
}

/** Counts for these pools. `stateOf`: the leader's memory of a pool, undefined where this manager does not lead. */
export function countEngine(pools: readonly string[], stateOf: (pool: string) => ControlState | undefined): EngineCounts {
  const all = makeFamilies();
  const cells = new Map(pools.map((pool) => [pool, cellsOf(all, pool)]));
  const down = new Map<string, Count>(downItems.map((kind) => [kind, all.items.cell("down", kind)]));
  const up = new Map<string, Count>(reportKinds.map((kind) => [kind, all.items.cell("up", kind)]));
  const countItems = (batch: HeldBatch): void => {
    for (const step of batch.steps) {
      for (const command of step.commands) for (const { kind } of command.items) down.get(kind)?.add();
      for (const { what } of step.notes) all.notes.cell(batch.pool, what).add();
    }
    for (const { input } of batch.taken)
      if (input.kind === "reports") for (const { kind } of input.message.items) up.get(kind)?.add();
  };
  return {
    families: Object.values(all),
    watch: {
      held(batch) {
        const pool = cells.get(batch.pool);
        if (!pool) return;
        const { begunMs, inputsMs, placedMs, heldMs } = batch.times;
        pool.inputs.observe(batch.taken.length);
        pool.changes.observe(batch.changes);
        pool.step.observe((inputsMs - begunMs) / 1_000);
        pool.place.observe((placedMs - inputsMs) / 1_000);
        // A batch that changes nothing may need no commit.
        if (batch.changes > 0) pool.commit.observe((heldMs - placedMs) / 1_000);
        countItems(batch);
      },
      storeFailed: (pool) => cells.get(pool)?.storeFailures.add(),
      requestsLeft: (pool, count) => cells.get(pool)?.requestsLeft.add(count),
      setAside: (pool) => cells.get(pool)?.setAside.add(),
    },
    events(events) {
      const name = events[0]?.pool ?? "";
      const pool = cells.get(name);
      if (!pool) return;
      const counting = { all, pool, state: stateOf(name) };
      for (const event of events) {
        pool.events.get(event.kind)?.add();
        counters[event.kind]?.(event, counting);
      }
    },
  };
}

interface Counting {
  readonly all: Families;
  readonly pool: PoolCells;
  readonly state: ControlState | undefined;
}

/** What is counted of an event beside its kind. */
const counters: Partial<Record<EventKind, (event: EventRecord, counting: Counting) => void>> = {
  runQueued: (_event, { pool }) => pool.created.add(),
  attemptSent(event, { pool, state }) {
    const run = event.data["number"] === 1 ? runOf(state, event.runId) : undefined;
    if (run) pool.wait.observe((event.at - run.createdAt) / 1_000);
  },
  attemptAccepted(event, { pool, state }) {
    const attempt = attemptOf(state, event.attemptId);
    if (attempt) pool.answer.observe((event.at - attempt.sentAt) / 1_000);
  },
  attemptEnded(event, { pool }) {
    const end = event.data["end"] as End;
    pool.attemptsEnded.get(end.how)?.add();
    if (end.how === "refused") pool.refused.get(causeOfRefusal(end.why))?.add();
  },
  runRetrying: (event, { all }) => all.retried.cell(event.pool, (event.data["after"] as End).how).add(),
  runEnded(event, { pool, state }) {
    pool.ended.get(event.data["state"] as string)?.add();
    const run = runOf(state, event.runId);
    if (run) pool.run.observe((event.at - run.createdAt) / 1_000);
  },
  setAside: (_event, { pool }) => pool.setAside.add(),
};

/** Live, or ended with this very batch. */
function runOf(state: ControlState | undefined, id: string | null): { readonly createdAt: number } | undefined {
  if (!state || id === null) return undefined;
  return state.batch.runs.get(id) ?? state.runs.get(id)?.row;
}

function attemptOf(state: ControlState | undefined, id: string | null): { readonly sentAt: number } | undefined {
  if (!state || id === null) return undefined;
  return state.attempts.get(id)?.row ?? state.batch.attempts.get(id);
}

/** All cells whose labels are known beforehand, so that a rate of them has a beginning. */
function cellsOf(all: Families, pool: string): PoolCells {
  const each = (family: Counter, values: readonly string[]): ReadonlyMap<string, Count> =>
    new Map(values.map((value) => [value, family.cell(pool, value)]));
  for (const how of ends) if (how !== "refused") all.retried.cell(pool, how);
  return {
    events: each(all.events, eventKinds),
    created: all.created.cell(pool),
    ended: each(all.ended, runStates.filter(isTerminal)),
    attemptsEnded: each(all.attemptsEnded, ends),
    refused: each(all.refused, refusalCauses),
    setAside: all.setAside.cell(pool),
    storeFailures: all.storeFailures.cell(pool),
    requestsLeft: all.requestsLeft.cell(pool),
    inputs: all.inputs.cell(pool),
    changes: all.changes.cell(pool),
    step: all.step.cell(pool),
    place: all.place.cell(pool),
    commit: all.commit.cell(pool),
    wait: all.wait.cell(pool),
    answer: all.answer.cell(pool),
    run: all.run.cell(pool),
  };
}
