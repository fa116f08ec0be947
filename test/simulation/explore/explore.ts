/**
 * Every order of everything that may happen, within bounds: 2 managers, 2 workers, 1 run, over the real cores. Depth first, with
 * the states that were seen; each budget is spent by what happens, so it ends.
 */
import { ManagerShell } from "./manager.ts";
import type { Parts } from "./parts.ts";
import type { Scene } from "./scenes.ts";
import type { Step } from "./step.ts";
import { Steps } from "./steps.ts";
import { WorkerShell } from "./worker.ts";
import { isTerminal } from "../../../schema/run.ts";
import { keyOf, runId, workerIds, type Budget, type World } from "./world.ts";

export interface Found {
  readonly violations: readonly string[];
  /** What happened, from the first state on. */
  readonly story: readonly string[];
}

export interface Explored {
  /** Distinct states, budgets included. */
  readonly states: number;
  readonly steps: number;
  readonly deepest: number;
  /** False: it was told to stop before the end. */
  readonly whole: boolean;
  readonly found: Found | undefined;
}

export interface Until {
  readonly mostStates?: number;
  /** Violations that end the exploration; others are passed over, as there may be earlier ones of another kind. */
  readonly counts?: RegExp;
  /** Bounds of passes that come before the whole one, in steps. */
  readonly depths?: readonly number[];
}

const nothingLeft: Budget = {
  quanta: 0,
  stills: 0,
  lates: 0,
  takeovers: 0,
  pauses: 0,
  storeErrors: 0,
  repeats: 0,
  deaths: 0,
  reboots: 0,
  cuts: 0,
  stops: 0,
  exits: 0,
};

export class Explorer {
  readonly #steps: Steps;
  readonly #parts: Parts;
  readonly #scene: Scene;
  /** State → how many steps beyond it were explored. */
  readonly #seen = new Map<string, number>();
  readonly #path: string[] = [];
  #stopped = false;
  #count = 0;
  #deepest = 0;

  constructor(parts: Parts, scene: Scene) {
    this.#parts = parts;
    this.#scene = scene;
    const { intervals } = scene;
    const managers = new ManagerShell(parts, intervals);
    const workers = new WorkerShell(parts, {
      heartbeatMs: 1_000,
      startTtlMs: 1_000 * intervals.startTtl,
      workerLostMs: 1_000 * intervals.workerLost,
    });
    this.#steps = new Steps(parts, managers, workers, scene.bounds);
  }

  /** Explores until something is violated that `counts`, the end, or `mostStates`. */
  async explore({ mostStates = Number.POSITIVE_INFINITY, counts = /./, depths = [] }: Until = {}): Promise<Explored> {
    const first = await this.#begin();
    let found: Found | undefined;
    let size = 0;
    // First what is near: the shortest story is the best one. The last pass has no bound but the budgets.
    for (const depth of [...depths, Number.POSITIVE_INFINITY]) {
      this.#seen.clear();
      this.#seen.set(keyOf(first), depth);
      found = await this.#from(first, depth, { mostStates, counts });
      size = Math.max(size, this.#seen.size);
      if (found || this.#stopped) break;
    }
    return { states: size, steps: this.#count, deepest: this.#deepest, whole: !found && !this.#stopped, found };
  }

  async #from(world: World, depth: number, until: Omit<Required<Until>, "depths">): Promise<Found | undefined> {
    this.#deepest = Math.max(this.#deepest, this.#path.length);
    if (depth === 0 || isOver(world)) return undefined;
    for (const action of this.#steps.actions(world)) {
      for (const step of await action.play()) {
        this.#count += 1;
        this.#path.push(step.label);
        if (step.violations.some((sentence) => until.counts.test(sentence)))
          return { violations: step.violations, story: [...this.#path] };
        const key = keyOf(step.world);
        if ((this.#seen.get(key) ?? -1) < depth - 1) {
          if (this.#seen.size >= until.mostStates) this.#stopped = true;
          if (this.#stopped) return undefined;
          this.#seen.set(key, depth - 1);
          const found = await this.#from(step.world, depth - 1, until);
          if (found || this.#stopped) return found;
        }
        this.#path.pop();
      }
    }
    return undefined;
  }

  /** A run waits in the store, and the hellos of both workers are on their way to the leader. */
  async #begin(): Promise<World> {
    const store = { tables: this.#parts.tables.memoryTables(), leases: new Map() };
    let world: World = {
      nowMs: 5_000_000,
      store,
      managers: workerIds.map(() => ({ lead: null, inbox: [], held: null })),
      workers: workerIds.map((_, at) => this.#steps.workers.fresh(at)),
      wire: [],
      left: { ...nothingLeft, takeovers: 1 },
      ids: 0,
      stop: { asked: false, answered: false },
    };
    world = await this.#happen(world, "m1 takes the lease");
    const definition = this.#parts.task.taskInput.parse({
      name: "task",
      run: { driver: "script", interpreter: "sh", script: "work" },
      ...this.#scene.task,
    });
    const by = { by: "client", byReason: null };
    const task = { kind: "createTask", id: "task", store: { definition, body: null, script: null }, ...by } as const;
    const item = {
      taskId: "task",
      runId,
      mayExist: false,
      params: {},
      workerId: null,
      labels: {},
      idempotencyKey: null,
      bodyHash: "",
    };
    const start = { kind: "startRun", item: { ...item, trace: `00-${"1".repeat(32)}-${"2".repeat(16)}-01` }, ...by } as const;
    const requests = [task, start].map((request, ticket) => ({ kind: "request", ticket, request }) as const);
    const turned = await this.#steps.managers.turn(world, 0, requests, "answered", 0);
    world = { ...world, store: turned.store, managers: [turned.part, ...world.managers.slice(1)] };
    for (const id of workerIds) world = await this.#happen(world, `${id} starts`);
    // Their status says no more than their hello, which comes after it.
    const wire = world.wire.filter((flight) => flight.to === "managers" && flight.input.kind === "hello");
    world = { ...world, wire };
    for (const label of this.#scene.already) world = await this.#happen(world, label);
    return { ...world, left: { ...nothingLeft, ...this.#scene.left } };
  }

  async #happen(world: World, label: string): Promise<World> {
    const action = this.#steps.actions(world).find((each) => each.label.startsWith(label));
    const step: Step | undefined = (await action?.play())?.[0];
    if (!step || step.violations.length > 0) throw new Error(`"${label}" cannot happen: ${step?.violations.join("; ") ?? ""}`);
    return step.world;
  }
}

/** The run has ended, everything was told and acknowledged, and nothing is under way that could start anything. */
function isOver({ store, managers, workers, wire }: World): boolean {
  const run = store.tables.runs.get(runId);
  return (
    run !== undefined &&
    isTerminal(run.state) &&
    managers.every(({ held }) => held === null) &&
    workers.every(
      ({ processes, reports, told, agent }) =>
        [...processes.values()].every(({ over }) => over) &&
        reports.size === 0 &&
        told.length === 0 &&
        (agent?.live.size ?? 0) === 0,
    ) &&
    wire.every((flight) => flight.to !== "worker" || flight.message.items.every(({ kind }) => kind !== "start"))
  );
}
