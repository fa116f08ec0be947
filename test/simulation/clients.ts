import type { Request } from "../../manager/control/inputs.ts";
import type { RunRecord } from "../../manager/control/records.ts";
import { Asking, isUncertain } from "./asking.ts";
import type { SimManager } from "./manager.ts";
import type { WorldParts } from "./parts.ts";
import { paramsOf, taskKinds, type ClientPlan } from "./plan.ts";

/** What the world knows of the runs that one client asked for. */
export interface Asked {
  readonly code: number;
  readonly exec: boolean;
  readonly result: string;
  readonly timeoutMs: number;
  /** How often it may fail. */
  readonly tries: number;
  stopped: boolean;
  signalled: boolean;
  /** Its agent was told to stop everything when it left. */
  shutDown(run: RunRecord): boolean;
}

interface ClientState extends Asked {
  readonly plan: ClientPlan;
  /** Runs that were made for it, reruns not counted. */
  runs: number;
  /** A 2xx named this run. */
  acknowledged: string | undefined;
  /** Runs that a 503 said were never made. */
  readonly notTaken: Set<string>;
  readonly wanted: boolean;
  gaveUp: boolean;
}

export interface ClientEnds extends WorldParts {
  readonly managers: readonly SimManager[];
}

const by = { by: "sim", byReason: null };
const trace = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`;

/** Those who ask for runs, stops, signals and drains, of whichever manager, and ask again until they know. */
export class Clients {
  readonly #ends: ClientEnds;
  readonly #asking: Asking;
  readonly #clients = new Map<string, ClientState>();
  /** Runs of which a stop was answered: nothing of them is placed any more. */
  readonly #stopped = new Set<string>();
  readonly #whoOf = new Map<string, string>();
  #runIds = 0;

  constructor(ends: ClientEnds) {
    this.#ends = ends;
    this.#asking = new Asking(ends);
    for (const plan of ends.plan.clients) this.#clients.set(plan.name, this.#stateOf(plan));
  }

  #stateOf(plan: ClientPlan): ClientState {
    return {
      plan,
      code: plan.code,
      exec: plan.exec,
      result: plan.unstorable === "end" ? "unstorable" : "ok",
      timeoutMs: (taskKinds[plan.task]?.timeoutSeconds ?? 0) * 1_000,
      tries: taskKinds[plan.task]?.retry?.attempts ?? 1,
      stopped: false,
      signalled: false,
      shutDown: (run) => run.end?.how === "stopped" && run.end.by === "worker shutdown",
      runs: 0,
      acknowledged: undefined,
      notTaken: new Set(),
      wanted: plan.unstorable !== "start",
      gaveUp: false,
    };
  }

  makeTasks(): void {
    const { giveUpAfterSeconds, lostAfterSeconds } = this.#ends.plan.timing;
    for (const [i, kind] of taskKinds.entries()) {
      const definition = this.#ends.product.task.taskInput.parse({
        name: `task-${i}`,
        run: { driver: "script", interpreter: "sh", script: "work" },
        params: { who: "", ms: "0", code: "0", exec: "yes", deaf: "no", output: "0", result: "", mark: "" },
        killGraceSeconds: 1,
        ...(kind.onLost === "wait" ? { giveUpAfterSeconds } : {}),
        ...(kind.onLost === "retry" ? { lostAfterSeconds } : {}),
        ...kind,
      });
      const id = `task-${i}`;
      const request: Request = { kind: "createTask", id, store: { definition, body: null, script: null }, ...by };
      this.#asking.insist(
        () => request,
        (heard) => !isUncertain(heard),
      );
    }
    for (const plan of this.#ends.plan.clients) this.#ends.schedule.after(plan.atMs, () => this.#start(plan.name));
  }

  /** Asks for one run until it knows whether there is one: by its own key, or by the one that an unknown outcome gave it. */
  #start(name: string): void {
    const { counters, witness } = this.#ends;
    const client = this.#clients.get(name) as ClientState;
    const { plan } = client;
    let runId = "";
    let uncertain = false;
    this.#asking.insist(
      () => {
        if (plan.keyed || !uncertain) runId = this.#newRunId();
        const params = paramsOf(plan, client.result);
        const item = {
          taskId: `task-${plan.task}`,
          runId,
          mayExist: !plan.keyed && uncertain,
          params,
          workerId: null,
          labels: {},
        };
        const key = plan.keyed ? `key-${name}` : null;
        return { kind: "startRun", item: { ...item, idempotencyKey: key, bodyHash: "body", trace }, ...by };
      },
      (heard) => {
        if (heard.kind === "run") {
          this.#acknowledge(client, heard.run.id, heard.repeated);
          return true;
        }
        if (heard.kind === "problem" && heard.problem.code === "not-taken") {
          counters.happened("a start was not taken and asked again");
          if (!uncertain || plan.keyed) client.notTaken.add(runId);
          return false;
        }
        if (heard.kind === "problem" && heard.problem.code === "outcome-unknown") {
          counters.happened("an outcome was unknown and asked again");
          uncertain = true;
          return false;
        }
        if (heard.kind === "silence") {
          // Without a key nobody may ask again: it would be another run.
          client.gaveUp = !plan.keyed && !uncertain;
          return client.gaveUp;
        }
        if (heard.kind === "problem" && heard.problem.code === "internal" && !client.wanted) {
          counters.happened("a request was set aside");
          return true;
        }
        // The task may not be made yet.
        if (heard.kind === "problem" && heard.problem.code === "not-found") return false;
        witness.violated(`the start of ${name} was answered ${JSON.stringify(heard)}`);
        return true;
      },
    );
  }

  #newRunId(): string {
    this.#runIds += 1;
    return `r${this.#runIds}`;
  }

  #acknowledge(client: ClientState, runId: string, repeated: boolean): void {
    const { schedule, counters } = this.#ends;
    const { plan } = client;
    if (repeated) counters.happened("a repeated request gave the same run");
    client.acknowledged = runId;
    if (plan.stopAfterMs !== undefined) schedule.after(plan.stopAfterMs, () => this.#stop(client, runId));
    if (plan.signalAfterMs !== undefined) schedule.after(plan.signalAfterMs, () => this.#signal(client, runId));
    if (plan.rerunAfterMs !== undefined) schedule.after(plan.rerunAfterMs, () => this.#rerun(client, runId));
  }

  #stop(client: ClientState, runId: string): void {
    client.stopped = true;
    this.#asking.insist(
      () => ({ kind: "stopRun", runId, graceSeconds: 1, ...by }),
      (heard) => {
        if (heard.kind === "problem" && heard.problem.code === "not-found")
          this.#ends.witness.violated(`run ${runId} was acknowledged and is not found`);
        if (heard.kind === "run") this.#stopped.add(runId);
        return heard.kind === "run";
      },
    );
  }

  #signal(client: ClientState, runId: string): void {
    client.signalled = true;
    this.#asking.insist(
      () => ({ kind: "signalRun", runId, signal: "SIGUSR1", ...by }),
      () => true,
    );
  }

  #rerun(client: ClientState, runId: string): void {
    const { plan } = client;
    this.#asking.insist(
      () => ({
        kind: "rerun",
        of: runId,
        runId: this.#newRunId(),
        idempotencyKey: `again-${plan.name}`,
        bodyHash: "again",
        trace,
        ...by,
      }),
      (heard) => heard.kind === "run",
    );
  }

  /** Off is asked for only once on was answered, so that no late repeat drains it for ever. */
  drain(workerId: string, forMs: number): void {
    const drain = (on: boolean, done: () => void): void =>
      this.#asking.insist(
        () => ({ kind: "drainWorker", workerId, on, ...by }),
        (heard) => {
          if (isUncertain(heard)) return false;
          done();
          return true;
        },
      );
    drain(true, () => this.#ends.schedule.after(forMs, () => drain(false, () => undefined)));
  }

  /** Says that silent workers are gone; where no brake holds it says nothing. */
  releaseBrake(): void {
    this.#asking.insist(
      () => ({ kind: "releasePool", what: "brake", ...by }),
      (heard) => !isUncertain(heard),
    );
  }

  remove(workerId: string, done: () => void): void {
    this.#asking.insist(
      () => ({ kind: "deleteWorker", workerId, stop: true, ...by }),
      (heard) => {
        if (isUncertain(heard)) return false;
        done();
        return true;
      },
    );
  }

  /** A run was committed. What is wrong about that, if anything. */
  madeRun(name: string, row: RunRecord): string | undefined {
    const client = this.#clients.get(name);
    if (!client) return `run ${row.id} was asked for by nobody (${name})`;
    if (client.notTaken.has(row.id)) return `run ${row.id} was made after its client had heard that it was not taken (rule 20)`;
    this.#whoOf.set(row.id, name);
    if (row.rerunOf !== null) return undefined;
    client.runs += 1;
    return client.runs > 1 ? `client ${name} has ${client.runs} runs for one request` : undefined;
  }

  stopWasAnswered(runId: string): boolean {
    return this.#stopped.has(runId);
  }

  askedOf(run: RunRecord): Asked {
    return this.#clients.get(run.params["who"] ?? "") as Asked;
  }

  whoOf(runId: string): string {
    return this.#whoOf.get(runId) ?? "";
  }

  retriesLoss(who: string): boolean {
    return this.#kindOf(who)?.onLost === "retry";
  }

  mayOverlap(who: string): boolean {
    return this.#kindOf(who)?.attemptOverlap === "allow";
  }

  #kindOf(who: string): (typeof taskKinds)[number] | undefined {
    return taskKinds[this.#clients.get(who)?.plan.task ?? -1];
  }

  /** Runs whose readers have something to look for. */
  acknowledged(): string[] {
    return [...this.#clients.values()].flatMap(({ acknowledged }) => acknowledged ?? []);
  }

  /** At the end: what was promised to a client and was not kept. */
  broken(exists: (runId: string) => boolean): string[] {
    const lines: string[] = [];
    for (const [name, { acknowledged, wanted, gaveUp, runs, plan }] of this.#clients) {
      if (acknowledged !== undefined && !exists(acknowledged))
        lines.push(`run ${acknowledged} of ${name} was acknowledged and is gone`);
      if (acknowledged === undefined && wanted && !gaveUp) lines.push(`client ${name} was never answered`);
      if (!wanted && runs > 0) lines.push(`client ${name} has a run that the database had refused (${plan.unstorable})`);
    }
    return lines;
  }
}
