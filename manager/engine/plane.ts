import type { Clock } from "../../schema/kit/clock.ts";
import { problem } from "../../schema/problem.ts";
import { alarms, figures, reasonOf, workerLive } from "../control/view.ts";
import type { Alarm } from "../control/core.ts";
import type { EventRecord } from "../control/records.ts";
import type { ControlPlane } from "../plane.ts";
import type { Store } from "../store/store.ts";
import type { PoolEngine } from "./engine.ts";

type Check = Awaited<ReturnType<ControlPlane["checks"]>>[number];

export interface PlaneDeps {
  readonly engines: ReadonlyMap<string, PoolEngine>;
  readonly store: Pick<Store, "check">;
  readonly clock: Clock;
  /** The wire's end: whether it is up, and a sentence either way. */
  readonly wire: () => { readonly up: boolean; readonly sentence: string };
  /** What the configuration makes worth a warning, such as plain HTTP beyond loopback. */
  readonly warnings: readonly { readonly name: string; readonly sentence: string }[];
}

/** Where batches of committed events are heard; the engines publish into it. */
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

/** The control plane over the engines of the pools that this manager serves. */
export function makePlane(deps: PlaneDeps, feed: EventFeed): ControlPlane {
  const leadOf = (pool: string): PoolEngine["lead"] => deps.engines.get(pool)?.lead;
  return {
    pools: [...deps.engines.keys()],
    ask: async (pool, request) => {
      const engine = deps.engines.get(pool);
      if (!engine) {
        throw problem(
          "impossible",
          `this manager does not serve the pool ${JSON.stringify(pool)}; it serves ${[...deps.engines.keys()].join(", ")} (MUSTER_POOLS)`,
        );
      }
      return await engine.ask(request);
    },
    reasonOf: (run) => {
      const lead = leadOf(run.pool);
      return lead ? reasonOf(lead.state, run, deps.clock.now()) : null;
    },
    workerLive: (pool, workerId) => {
      const lead = leadOf(pool);
      return lead ? workerLive(lead.state, workerId, deps.clock.now()) : null;
    },
    figures: (pool) => {
      const lead = leadOf(pool);
      return lead ? figures(lead.state) : null;
    },
    alarms: () => alarmsOf(deps),
    checks: async () => await checksOf(deps),
    ready: () => readiness(deps),
    onEvents: (listener) => feed.subscribe(listener),
  };
}

function alarmsOf(deps: PlaneDeps): Alarm[] {
  const all: Alarm[] = [];
  for (const engine of deps.engines.values()) if (engine.lead) all.push(...alarms(engine.lead.state, deps.clock.now()));
  return all;
}

function readiness(deps: PlaneDeps): { readonly ready: boolean; readonly sentence: string } {
  for (const [pool, engine] of deps.engines) {
    if (engine.trouble) return { ready: false, sentence: `pool ${pool}: the database is in trouble: ${engine.trouble.sentence}` };
    if (!engine.lead) return { ready: false, sentence: `pool ${pool}: this manager does not lead it yet` };
  }
  return { ready: true, sentence: "requests are taken" };
}

async function checksOf(deps: PlaneDeps): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [pool, engine] of deps.engines) {
    const { trouble, lead } = engine;
    if (trouble)
      checks.push({
        name: `database:${pool}`,
        status: "fail",
        sentence: `the last commit does not hold since ${new Date(trouble.sinceWall).toISOString()}: ${trouble.sentence}`,
      });
    else if (lead) checks.push({ name: `leader:${pool}`, status: "pass", sentence: `leads with term ${lead.term}` });
    else checks.push({ name: `leader:${pool}`, status: "fail", sentence: "nobody leads the pool here yet" });
  }
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
