/** What is counted of each batch that holds. It runs between a commit and its answers: counting, and nothing else. */
import type { End } from "../../schema/end.ts";
import { eventKinds } from "../../schema/event.ts";
import { Counter, Histogram, type Count, type Family, type Spread } from "../../schema/kit/metrics/families.ts";
import { isTerminal, runStates } from "../../schema/run.ts";
import type { EventRecord } from "../control/records.ts";
import type { ControlState } from "../control/state.ts";
import type { EngineWatch, HeldBatch } from "../engine/watch.ts";
import { causeOfRefusal, refusalCauses } from "./metrics-refusals.ts";

/** Bounds in seconds, from a step in memory to a run that takes a night. */
const shortSeconds = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const latencySeconds = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800];
const runSeconds = [0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 28_800, 86_400];
const inputCounts = [1, 2, 5, 10, 25, 50, 100, 200, 350, 500];
const changeCounts = [0, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000];

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
  const items = new Map([
    ...downItems.map((kind) => [kind, all.items.cell("down", kind)] as const),
    ...reportKinds.map((kind) => [`up ${kind}`, all.items.cell("up", kind)] as const),
  ]);
  const countItems = (batch: HeldBatch): void => {
    for (const step of batch.steps) {
      for (const command of step.commands) for (const { kind } of command.items) items.get(kind)?.add();
      for (const { what } of step.notes) all.notes.cell(batch.pool, what).add();
    }
    for (const { input } of batch.taken)
      if (input.kind === "reports") for (const { kind } of input.message.items) items.get(`up ${kind}`)?.add();
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
      setAside: (pool) => cells.get(pool)?.setAside.add(),
    },
    events(events) {
      const pool = events[0]?.pool ?? "";
      const mine = cells.get(pool);
      const state = stateOf(pool);
      if (mine) for (const event of events) countEvent(all, mine, state, event);
    },
  };
}

function countEvent(all: Families, pool: PoolCells, state: ControlState | undefined, event: EventRecord): void {
  pool.events.get(event.kind)?.add();
  switch (event.kind) {
    case "runQueued":
      pool.created.add();
      return;
    case "attemptSent": {
      const run = event.data["number"] === 1 ? runOf(state, event.runId) : undefined;
      if (run) pool.wait.observe((event.at - run.createdAt) / 1_000);
      return;
    }
    case "attemptAccepted": {
      const sentAt = attemptOf(state, event.attemptId)?.sentAt;
      if (sentAt !== undefined) pool.answer.observe((event.at - sentAt) / 1_000);
      return;
    }
    case "attemptEnded": {
      const end = event.data["end"] as End;
      pool.attemptsEnded.get(end.how)?.add();
      if (end.how === "refused") pool.refused.get(causeOfRefusal(end.why))?.add();
      return;
    }
    case "runRetrying":
      all.retried.cell(event.pool, (event.data["after"] as End).how).add();
      return;
    case "runEnded": {
      pool.ended.get(event.data["state"] as string)?.add();
      const run = runOf(state, event.runId);
      if (run) pool.run.observe((event.at - run.createdAt) / 1_000);
      return;
    }
    case "setAside":
      pool.setAside.add();
      return;
    default:
      return;
  }
}

/** Live, or ended with this very batch. */
function runOf(state: ControlState | undefined, id: string | null): { readonly createdAt: number } | undefined {
  if (!state || id === null) return undefined;
  return state.batch.runs.get(id) ?? state.runs.get(id)?.row;
}

function attemptOf(state: ControlState | undefined, id: string | null): { readonly sentAt: number } | undefined {
  if (!state || id === null) return undefined;
  return state.attempts.get(id)?.row ?? state.batch.attempts.get(id);
}

type Families = ReturnType<typeof makeFamilies>;

function makeFamilies() {
  const pool = ["pool"];
  return {
    created: new Counter({ name: "muster_runs_created_total", help: "Runs that were made." }, pool),
    ended: new Counter({ name: "muster_runs_ended_total", help: "Runs that ended, by the state in which they did." }, [
      "pool",
      "state",
    ]),
    retried: new Counter({ name: "muster_runs_retried_total", help: "Further tries, by how the try before had ended." }, [
      "pool",
      "after",
    ]),
    attemptsEnded: new Counter({ name: "muster_attempts_ended_total", help: "Attempts that ended, by how." }, ["pool", "how"]),
    refused: new Counter(
      {
        name: "muster_starts_refused_total",
        help: "Starts that a worker refused, by the class of the cause; each is placed again.",
      },
      ["pool", "cause"],
    ),
    events: new Counter({ name: "muster_events_total", help: "Events that became history, by kind (docs/words.md)." }, [
      "pool",
      "kind",
    ]),
    notes: new Counter(
      {
        name: "muster_notes_total",
        help: "What was noticed of messages and changed nothing: repeated, late, stale or strange ones.",
      },
      ["pool", "what"],
    ),
    setAside: new Counter(
      { name: "muster_set_aside_total", help: "Messages and requests that could not be applied and are kept for an operator." },
      pool,
    ),
    storeFailures: new Counter(
      {
        name: "muster_store_failures_total",
        help: "Commits and reads of the leader that the database failed; each is tried again.",
      },
      pool,
    ),
    items: new Counter(
      {
        name: "muster_message_items_total",
        help: "Items in messages: commands that were decided (down), reports that were taken (up).",
      },
      ["direction", "kind"],
    ),
    inputs: new Histogram(
      { name: "muster_batch_inputs", help: "Requests, messages and ticks that one commit covers." },
      inputCounts,
      pool,
    ),
    changes: new Histogram(
      { name: "muster_batch_changes", help: "Rows that one commit inserts or updates." },
      changeCounts,
      pool,
    ),
    step: new Histogram(
      { name: "muster_step_duration_seconds", help: "Deciding all inputs of one batch, with what had to be read for it." },
      shortSeconds,
      pool,
    ),
    place: new Histogram(
      { name: "muster_placement_duration_seconds", help: "Choosing workers for what waits, once in each batch." },
      shortSeconds,
      pool,
    ),
    commit: new Histogram(
      { name: "muster_commit_duration_seconds", help: "Making one batch durable, failed tries included." },
      shortSeconds,
      pool,
    ),
    wait: new Histogram(
      { name: "muster_run_wait_seconds", help: "From a run's creation until its first start was sent to a worker." },
      latencySeconds,
      pool,
    ),
    answer: new Histogram(
      {
        name: "muster_start_answer_seconds",
        help: "From a start that was sent until the worker's report that it took it was durable.",
      },
      latencySeconds,
      pool,
    ),
    run: new Histogram(
      { name: "muster_run_duration_seconds", help: "From a run's creation until its end was known and durable." },
      runSeconds,
      pool,
    ),
  };
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
