/** What the leader holds now, read from its memory whenever somebody asks. Of a pool that this manager does not lead nothing is said. */
import type { Clock } from "../../schema/kit/clock.ts";
import { reading, type Family, type MetricSpec, type Put } from "../../schema/kit/metrics/families.ts";
import { attemptStates, isTerminal, runStates } from "../../schema/run.ts";
import { workerStates } from "../../schema/worker.ts";
import { alarms } from "../control/view.ts";
import { beyond } from "../control/queue/queue.ts";
import { isReachable, type ControlState, type RunCell } from "../control/state.ts";
import type { PoolEngine } from "../engine/engine.ts";

type Engines = ReadonlyMap<string, Pick<PoolEngine, "lead" | "trouble">>;

const liveStates = runStates.filter((state) => !isTerminal(state));

/** Why a queued run waits, as the label's value and for people. */
export const waits = ["noFreeSlot", "nothingFits", "resting", "next", "behindOlder"] as const;
export const waitSentences: Readonly<Record<(typeof waits)[number], string>> = {
  noFreeSlot: "every slot of every worker that is heard is taken, or there is no such worker",
  nothingFits: "there are free slots, and none where it may run and has room",
  resting: "a worker refused it, and it is tried again in a moment",
  next: "it is placed with the next batch",
  behindOlder: "so many older runs wait that it is not in memory yet",
};

/** The gauges of these engines. Each look costs one pass over live runs, attempts and workers. */
export function leadFamilies(engines: Engines, clock: Clock): readonly Family[] {
  const perLead = (
    name: string,
    help: string,
    labels: readonly string[],
    read: (state: ControlState, put: Put) => void,
  ): Family =>
    reading(gauge(name, help, ["pool", ...labels]), (put) => {
      for (const [pool, { lead }] of engines) if (lead) read(lead.state, (value, ...values) => put(value, pool, ...values));
    });
  return [
    reading(gauge("muster_leader", "1 where this manager leads the pool, else 0.", ["pool"]), (put) => {
      for (const [pool, { lead }] of engines) put(lead ? 1 : 0, pool);
    }),
    reading(gauge("muster_lease_term", "The term under which this manager leads.", ["pool"]), (put) => {
      for (const [pool, { lead }] of engines) if (lead) put(lead.term, pool);
    }),
    reading(gauge("muster_database_trouble", "1 while the last try of a commit or a read has failed.", ["pool"]), (put) => {
      for (const [pool, { trouble }] of engines) put(trouble ? 1 : 0, pool);
    }),
    perLead("muster_runs", "Runs that have not ended, by state.", ["state"], putRuns),
    perLead("muster_queue_runs", "Runs in state queued, by why they wait.", ["why"], putWaits),
    perLead("muster_queue_oldest_age_seconds", "Age of the oldest run in state queued; 0 when none is.", [], (state, put) =>
      put(oldestAge(state, clock.now().wall)),
    ),
    perLead("muster_attempts", "Attempts that have not ended, by state.", ["state"], putAttempts),
    perLead("muster_workers", "Workers, by state.", ["state"], putWorkers),
    perLead("muster_slots", "Slots of the workers that are heard.", [], (state, put) => put(slots(state).all)),
    perLead("muster_slots_used", "Slots of the workers that are heard, taken by attempts.", [], (state, put) =>
      put(slots(state).used),
    ),
    perLead("muster_alarms", "Alarms that stand, by kind; /health has their sentences.", ["kind"], (state, put) => {
      for (const [kind, count] of tally(alarms(state, clock.now()), (alarm) => alarm.kind)) put(count, kind);
    }),
  ];
}

function gauge(name: string, help: string, labels: readonly string[]): MetricSpec {
  return { name, help, type: "gauge", labels };
}

/** How many things there are of each word; those that are `known` are there with 0 as well. */
function tally<T>(things: Iterable<T>, wordOf: (thing: T) => string, known: readonly string[] = []): Map<string, number> {
  const counts = new Map<string, number>(known.map((word) => [word, 0]));
  for (const thing of things) {
    const word = wordOf(thing);
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

function putRuns(state: ControlState, put: Put): void {
  const counts = tally(state.runs.values(), (run) => run.row.state, liveStates);
  // Of a long queue only a part is in memory.
  counts.set("queued", state.queue.queued);
  for (const name of liveStates) put(counts.get(name) ?? 0, name);
}

function putWaits(state: ControlState, put: Put): void {
  const queued = [...state.runs.values()].filter((run) => run.row.state === "queued");
  const counts = tally(queued, (run) => whyOf(state, run), waits);
  counts.set("behindOlder", (counts.get("behindOlder") ?? 0) + Math.max(0, beyond(state.queue)));
  for (const why of waits) put(counts.get(why) ?? 0, why);
}

function whyOf(state: ControlState, run: RunCell): (typeof waits)[number] {
  if (run.holdMono !== null) return "resting";
  const line = run.line === null ? undefined : state.queue.lines.get(run.line);
  if (line?.blocked) return "nothingFits";
  return state.free.size + state.eager.size === 0 ? "noFreeSlot" : "next";
}

/** The oldest part of the queue is always in memory. */
function oldestAge(state: ControlState, wall: number): number {
  let oldest = wall;
  for (const run of state.runs.values()) if (run.row.state === "queued") oldest = Math.min(oldest, run.row.createdAt);
  return (wall - oldest) / 1_000;
}

function putAttempts(state: ControlState, put: Put): void {
  const live = attemptStates.filter((name) => name !== "ended");
  const counts = tally(state.attempts.values(), (attempt) => attempt.row.state, live);
  for (const name of live) put(counts.get(name) ?? 0, name);
}

function putWorkers(state: ControlState, put: Put): void {
  const counts = tally(state.workers.values(), (worker) => worker.row.state, workerStates);
  for (const name of workerStates) put(counts.get(name) ?? 0, name);
}

function slots(state: ControlState): { readonly all: number; readonly used: number } {
  let all = 0;
  let used = 0;
  for (const worker of state.workers.values()) {
    if (!isReachable(worker)) continue;
    all += worker.row.capacity?.slots ?? 0;
    used += worker.used.slots;
  }
  return { all, used };
}
