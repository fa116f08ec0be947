import type { Clock } from "../../schema/kit/clock.ts";
import { problem } from "../../schema/problem.ts";
import { isTerminal } from "../../schema/run.ts";
import { poolLive, reasonOf, workerLive } from "../control/view.ts";
import type { EventRecord } from "../control/records.ts";
import { runsOf } from "../peers/door.ts";
import type { PoolQuestion } from "../peers/messages.ts";
import type { Peers } from "../peers/peers.ts";
import type { Seen } from "../peers/views.ts";
import type { Check, ControlPlane, ReasonOf, ShownRun, WorkerLiveOf } from "../plane.ts";
import type { Store } from "../store/store.ts";
import type { PoolEngine } from "./engine.ts";
import { allAlarms, poolChecks, readiness } from "./health.ts";
import type { EventTail } from "./tail.ts";

export interface PlaneDeps {
  readonly engines: ReadonlyMap<string, PoolEngine>;
  readonly store: Pick<Store, "check">;
  readonly clock: Clock;
  /** The wire's end: whether it is up, and a sentence either way. */
  readonly wire: () => { readonly up: boolean; readonly sentence: string };
  /** What the configuration makes worth a warning, such as plain HTTP beyond loopback. */
  readonly warnings: readonly { readonly name: string; readonly sentence: string }[];
  /** Absent where no other manager can be on the same database. */
  readonly peers?: Peers | undefined;
}

/** Where what this manager's own engines commit is heard. */
export class EventFeed {
  readonly #listeners = new Set<(events: readonly EventRecord[]) => void>();

  publish(events: readonly EventRecord[]): void {
    for (const listener of this.#listeners) listener(events);
  }

  subscribe(listener: (events: readonly EventRecord[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** The control plane over the engines of the pools that this manager serves, and over the leaders of pools that it does not lead. */
export function makePlane(deps: PlaneDeps, tail: Pick<EventTail, "subscribe" | "hearing">): ControlPlane {
  const { engines, peers } = deps;
  const leadOf = (pool: string): PoolEngine["lead"] => engines.get(pool)?.lead;
  // Why a run waits comes with its leader's answer: to ask again for each start would double the way. Kept as long as the answer.
  const told = new WeakMap<object, string | null>();
  return {
    pools: [...engines.keys()],
    alone: peers === undefined,
    get trouble() {
      for (const { trouble } of engines.values()) if (trouble) return trouble.sentence;
      return undefined;
    },
    serves: async (pool) => {
      if (engines.has(pool)) return true;
      const leader = await peers?.book.of(pool);
      return leader !== undefined && (leader.kind !== "nobody" || leader.exists);
    },
    ask: async (pool, request, gone) => {
      const engine = engines.get(pool);
      if (peers && !engine?.lead) {
        const { outcome, reasons } = await peers.forwarder.ask(pool, request, gone);
        for (const run of runsOf(outcome)) told.set(run, reasons[run.id] ?? null);
        return outcome;
      }
      if (engine) return await engine.ask(request, gone);
      throw problem(
        "impossible",
        `this manager does not serve the pool ${JSON.stringify(pool)}; it serves ${[...engines.keys()].join(", ")} (MUSTER_POOLS)`,
      );
    },
    reasonsOf: async (runs) => {
      const open = runs.filter((run) => mayWait(run) && !told.has(run) && !leadOf(run.pool));
      const seen = await askLeaders(peers, open, []);
      return reasonsIn(deps, told, seen);
    },
    workersLive: async (workers) => {
      const seen = await askLeaders(
        peers,
        [],
        workers.filter((worker) => !leadOf(worker.pool)),
      );
      return workersIn(deps, seen);
    },
    poolHeld: async (pool) => {
      const lead = leadOf(pool);
      if (lead) return poolLive(lead.state);
      const seen = await peers?.views.health(pool);
      return seen?.kind === "whole" ? seen.view.held : { unknown: whyUnknown(seen) };
    },
    alarms: () => allAlarms(deps),
    checks: () => checksOf(deps),
    ready: () => readiness(deps),
    onEvents: (listener) => tail.subscribe(listener),
    hearing: () => tail.hearing(),
  };
}

/** Of a run that runs, or has ended, no leader says anything. */
function mayWait({ state }: ShownRun): boolean {
  return state !== "running" && !isTerminal(state);
}

type Answers = ReadonlyMap<string, Seen>;

async function askLeaders(
  peers: Peers | undefined,
  runs: readonly ShownRun[],
  workers: readonly { readonly id: string; readonly pool: string }[],
): Promise<Answers> {
  if (!peers || runs.length + workers.length === 0) return new Map();
  const questions = new Map<string, { runs: PoolQuestion["runs"][number][]; workers: string[] }>();
  const of = (pool: string): { runs: PoolQuestion["runs"][number][]; workers: string[] } => {
    const question = questions.get(pool) ?? { runs: [], workers: [] };
    questions.set(pool, question);
    return question;
  };
  for (const { id, state, pool } of runs) of(pool).runs.push({ id, state });
  for (const { id, pool } of workers) of(pool).workers.push(id);
  return await peers.views.ask(questions);
}

function reasonsIn({ engines, clock }: PlaneDeps, told: WeakMap<object, string | null>, seen: Answers): ReasonOf {
  return (run) => {
    if (!mayWait(run)) return null;
    const known = told.get(run);
    if (known !== undefined) return known;
    const lead = engines.get(run.pool)?.lead;
    if (lead) return reasonOf(lead.state, run, clock.now());
    const one = seen.get(run.pool);
    return one?.kind === "whole" ? (one.view.reasons[run.id] ?? null) : `${whyUnknown(one)}; why the run waits is not known here`;
  };
}

function workersIn({ engines, clock }: PlaneDeps, seen: Answers): WorkerLiveOf {
  return ({ id, pool }) => {
    const lead = engines.get(pool)?.lead;
    if (lead) return workerLive(lead.state, id, clock.now());
    const one = seen.get(pool);
    return one?.kind === "whole"
      ? (one.view.workers[id] ?? null)
      : { reason: `${whyUnknown(one)}; what it does now is not known here` };
  };
}

function whyUnknown(seen: Seen | undefined): string {
  return seen?.kind === "unknown" ? seen.why : "this manager does not lead the pool yet";
}

async function checksOf(deps: PlaneDeps): Promise<Check[]> {
  const checks = await poolChecks(deps);
  try {
    for (const check of await deps.store.check())
      checks.push({ name: `store:${check.name}`, status: check.ok ? "pass" : "warn", sentence: check.sentence });
  } catch (error) {
    checks.push({ name: "store", status: "fail", sentence: error instanceof Error ? error.message : String(error) });
  }
  const wire = deps.wire();
  checks.push({ name: "broker", status: wire.up ? "pass" : "fail", sentence: wire.sentence });
  for (const warning of deps.warnings) checks.push({ name: warning.name, status: "warn", sentence: warning.sentence });
  return checks;
}
