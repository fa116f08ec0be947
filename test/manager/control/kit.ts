/** A pool under test: the core over the memory store, driven by hand through the engine's own batch. */
import type { Dice } from "../../../schema/given.ts";
import { timing as defaults } from "../../../schema/limits.ts";
import type { AsOf, DownItem } from "../../../schema/messages.ts";
import { taskInput, type TaskInput } from "../../../schema/task.ts";
import type { ControlOptions } from "../../../manager/control/core.ts";
import { createControl } from "../../../manager/control/create.ts";
import { nextDue } from "../../../manager/control/due.ts";
import type { Input, Request, StartItem } from "../../../manager/control/inputs.ts";
import type { Note, Outcome } from "../../../manager/control/outputs.ts";
import roundRobin from "../../../manager/control/placement/round-robin.ts";
import type { AttemptRecord, EventRecord, RunRecord } from "../../../manager/control/records.ts";
import type { ControlState } from "../../../manager/control/state.ts";
import { reasonOf } from "../../../manager/control/view.ts";
import { stepBatch } from "../../../manager/engine/turn.ts";
import { openMemoryStore, type MemoryHeld } from "../../../manager/store/memory.ts";
import type { Store } from "../../../manager/store/store.ts";

export const pool = "default";
export const asker = { by: "ana", byReason: null };

/** What one batch let out. */
export interface Said {
  readonly answers: ReadonlyMap<
    number,
    Outcome | { readonly kind: "problem"; readonly problem: { readonly code: string; readonly detail: string } }
  >;
  readonly items: readonly { readonly workerId: string; readonly asOf: AsOf; readonly item: DownItem }[];
  readonly events: readonly EventRecord[];
  readonly notes: readonly Note[];
  readonly changes: number;
}

export interface Bench {
  state: ControlState;
  readonly store: Store;
  readonly now: { mono: number; wall: number };
  term: number;
  /** Steps the inputs as one batch and commits it. */
  batch(...inputs: readonly Input[]): Promise<Said>;
  /** One request as a batch of its own. */
  ask(request: Request): Promise<Said & { readonly outcome: Outcome; readonly code: string | null; readonly detail: string }>;
  /** Lets time pass in steps of at most a second, ticking whenever something is due; what the workers are told is gathered. */
  pass(ms: number, each?: () => Promise<Said | undefined>): Promise<Said>;
  /** A new leader over the same store. */
  takeOver(): Promise<void>;
  run(id: string): Promise<RunRecord>;
  attempts(runId: string): Promise<readonly AttemptRecord[]>;
}

export function seededDice(seed = 1): Dice {
  let value = seed >>> 0;
  let ids = 0;
  return {
    id: () => `id${String((ids += 1)).padStart(20, "0")}`,
    below: (n) => {
      value = (Math.imul(value, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((value / 4_294_967_296) * n);
    },
  };
}

export function optionsWith(
  more: {
    readonly limits?: Partial<ControlOptions["limits"]>;
    readonly timing?: Partial<ControlOptions["timing"]>;
    readonly placement?: ControlOptions["placement"];
  } = {},
): Omit<ControlOptions, "term"> {
  const { heartbeatMs, unreachableIntervals, startTtlIntervals, workerLostIntervals, resendFirstMs, resendMaxMs, startResendMs } =
    defaults;
  const { brakeHoldMs, brakeReleasePerSecond, watchdogTickMs, fleetBeatsPerSecond } = defaults;
  return {
    pool,
    timing: {
      heartbeatMs,
      unreachableIntervals,
      startTtlIntervals,
      workerLostIntervals,
      resendFirstMs,
      resendMaxMs,
      startResendMs,
      brakeHoldMs,
      brakeReleasePerSecond,
      watchdogTickMs,
      fleetBeatsPerSecond,
      ...more.timing,
    },
    limits: {
      queueWindow: 10_000,
      waitingRuns: 1_000_000,
      prefetch: 2,
      taskCache: 5_000,
      logStreamBytes: 1_000_000,
      ...more.limits,
    },
    placement: more.placement ?? roundRobin(),
    sign: (text) => `signed-${text.length}`,
  };
}

export async function openBench(options = optionsWith(), held?: MemoryHeld): Promise<Bench> {
  const store = openMemoryStore(held);
  const now = { mono: 1_000_000, wall: 1_700_000_000_000 };
  const dice = seededDice();
  let ticket = 0;
  let batchNumber = 0;
  const lead = async (): Promise<number> => {
    const lease = await store.takeLease(pool, "test", await store.readLease(pool), 0);
    if (!lease) throw new Error("the lease was not taken");
    batchNumber = lease.batch;
    return lease.term;
  };
  const term = await lead();
  const bench: Bench = {
    state: createControl({ ...options, term }, await store.loadLive(pool), { ...now }),
    store,
    now,
    term,
    batch: async (...inputs) => {
      const { steps, changes } = await stepBatch(bench.state, inputs, {
        load: (needs) => store.load(pool, needs),
        now: () => ({ ...now }),
        dice,
      });
      batchNumber += 1;
      const result = await store.commit({ pool, term: bench.term, batch: batchNumber, changes });
      if (result !== "applied") throw new Error(`the commit was ${result}`);
      return {
        answers: new Map(steps.flatMap((step) => step.answers.map((each) => [each.ticket, each.outcome] as const))),
        items: steps.flatMap((step) =>
          step.commands.flatMap(({ workerId, asOf, items }) => items.map((item) => ({ workerId, asOf, item }))),
        ),
        events: changes.flatMap((change) => (change.op === "insertEvent" ? [change.row] : [])),
        notes: steps.flatMap((step) => step.notes),
        changes: changes.length,
      };
    },
    ask: async (request) => {
      ticket += 1;
      const mine = ticket;
      let said = await bench.batch({ kind: "request", ticket: mine, request });
      for (let more = 0; more < 50 && !said.answers.has(mine); more += 1) said = await bench.batch({ kind: "tick" });
      const outcome = said.answers.get(mine);
      if (!outcome) throw new Error("the request was not answered");
      const problem = outcome.kind === "problem" ? outcome.problem : null;
      return { ...said, outcome: outcome as Outcome, code: problem?.code ?? null, detail: problem?.detail ?? "" };
    },
    pass: async (ms, each) => {
      const until = now.mono + ms;
      const all: Said[] = [];
      while (now.mono < until) {
        const due = nextDue(bench.state);
        const to = Math.min(until, Math.max(now.mono + 1, Math.min(now.mono + 1_000, due ?? Number.POSITIVE_INFINITY)));
        now.wall += to - now.mono;
        now.mono = to;
        all.push(await bench.batch({ kind: "tick" }));
        const more = await each?.();
        if (more) all.push(more);
      }
      return {
        answers: new Map(all.flatMap((said) => [...said.answers])),
        items: all.flatMap((said) => said.items),
        events: all.flatMap((said) => said.events),
        notes: all.flatMap((said) => said.notes),
        changes: all.reduce((sum, said) => sum + said.changes, 0),
      };
    },
    takeOver: async () => {
      bench.term = await lead();
      bench.state = createControl({ ...options, placement: roundRobin(), term: bench.term }, await store.loadLive(pool), {
        ...now,
      });
    },
    run: async (id) => {
      const found = await store.run(id);
      if (!found) throw new Error(`no run ${id}`);
      return found.run;
    },
    attempts: async (runId) => (await store.run(runId))?.attempts ?? [],
  };
  return bench;
}

let names = 0;

export async function makeTask(bench: Bench, input: Partial<TaskInput> = {}): Promise<string> {
  names += 1;
  const id = `task${names}`;
  const definition = taskInput.parse({ name: `name-${names}`, run: { driver: "exec", program: "/bin/true" }, ...input });
  const said = await bench.ask({ kind: "createTask", id, store: { definition, body: null, script: null }, ...asker });
  if (said.code) throw new Error(said.detail);
  return id;
}

let runs = 0;

export function startOf(taskId: string, more: Partial<StartItem> = {}): StartItem {
  runs += 1;
  return {
    taskId,
    runId: `run${runs}`,
    mayExist: false,
    params: {},
    workerId: null,
    labels: {},
    idempotencyKey: null,
    bodyHash: "h",
    trace: `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
    ...more,
  };
}

/** Starts one run; its id. */
export async function start(bench: Bench, taskId: string, more: Partial<StartItem> = {}): Promise<string> {
  const item = startOf(taskId, more);
  const said = await bench.ask({ kind: "startRun", item, ...asker });
  if (said.code) throw new Error(`${said.code}: ${said.detail}`);
  return item.runId;
}

/** The attempt that the newest start of the run named. */
export async function attemptOf(bench: Bench, runId: string): Promise<AttemptRecord> {
  const newest = (await bench.attempts(runId)).toSorted((a, b) => b.number - a.number)[0];
  if (!newest) throw new Error(`run ${runId} has no attempt`);
  return newest;
}

export function itemsOf<K extends DownItem["kind"]>(said: Said, kind: K, workerId?: string): Extract<DownItem, { kind: K }>[] {
  return said.items.flatMap((each) =>
    each.item.kind === kind && (workerId === undefined || each.workerId === workerId)
      ? [each.item as Extract<DownItem, { kind: K }>]
      : [],
  );
}

export function kindsOf(said: Said): string[] {
  return said.events.map((event) => event.kind);
}

/** Why a run waits, asked by someone who sees what the core has. */
export function reasonNow(bench: Bench, runId: string): string | null {
  const state = bench.state.runs.get(runId)?.row.state ?? "queued";
  return reasonOf(bench.state, { id: runId, state }, bench.now);
}
