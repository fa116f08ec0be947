import type { SimAnswer, SimManager } from "./manager.ts";
import type { Product } from "./product.ts";
import type { Schedule } from "./schedule.ts";
import type { Chance } from "./seeded.ts";
import type { Witness } from "./witness.ts";

export const giveUpAfterSeconds = 30;
export const timeoutSeconds = 3;
const task = {
  script: { driver: "script", interpreter: "sh", script: "work" },
  params: { ms: "100", code: "0", exec: "yes" },
} as const;

/** What the world knows of a run that a client asked for. */
export interface Asked {
  readonly code: number;
  readonly exec: boolean;
  readonly taskId: string;
  stopped: boolean;
  /** A stop of it was answered: nothing of it is placed any more (stop sticks). */
  stopAnswered: boolean;
  signalled: boolean;
}

export interface ClientEnds {
  readonly product: Product;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly witness: Witness;
  readonly manager: SimManager;
}

/** Those who ask the manager for runs, stops, signals and drains, and ask again until they are answered. */
export class Clients {
  readonly #ends: ClientEnds;
  readonly #taskIds: string[] = [];
  readonly #retried = new Set<string>();
  readonly asked = new Map<string, Asked>();
  readonly acknowledged = new Set<string>();

  constructor(ends: ClientEnds) {
    this.#ends = ends;
  }

  makeTasks(): void {
    const kinds = [
      { onLost: "wait", giveUpAfterSeconds },
      { onLost: "wait", giveUpAfterSeconds, retry: { attempts: 3, backoffSeconds: 1 } },
      { onLost: "fail" },
      { onLost: "retry", lostAfterSeconds: 10 },
      { onLost: "wait", giveUpAfterSeconds, timeoutSeconds },
      { onLost: "retry", lostAfterSeconds: 10, timeoutSeconds, retry: { attempts: 2, backoffSeconds: 1 } },
    ];
    for (const [i, kind] of kinds.entries()) {
      const id = `task-${i}`;
      const definition = this.#ends.product.task.taskInput.parse({
        name: id,
        run: task.script,
        params: task.params,
        killGraceSeconds: 1,
        ...kind,
      });
      this.#insist((answered) =>
        this.#ends.manager.ask(
          { kind: "createTask", id, store: { definition, body: null, script: null }, by: "sim", byReason: null },
          answered,
        ),
      );
      this.#taskIds.push(id);
      if (kind.onLost === "retry") this.#retried.add(id);
    }
  }

  /** Whether its task asks for another attempt when a worker is lost, and so for the reverse of promise 4. */
  retriesLoss(runId: string): boolean {
    return this.#retried.has(this.asked.get(runId)?.taskId ?? "");
  }

  /** Half of them come in two rushes, so that starts wait on their workers for room. */
  makeClients(untilMs: number): void {
    const { chance, schedule } = this.#ends;
    const rushesMs = [chance.between(0, untilMs), chance.between(0, untilMs)];
    const count = chance.between(30, 45);
    for (let i = 0; i < count; i += 1) {
      const atMs = chance.happens(0.5) ? chance.pick(rushesMs) + chance.between(0, 300) : chance.between(0, untilMs);
      schedule.after(atMs, () => this.#client(chance.name("run-")));
    }
  }

  /** Asks for one run, again and again until somebody answers: the repeat names the run that the first try may have made. */
  #client(runId: string): void {
    const taskId = this.#ends.chance.pick(this.#taskIds);
    const code = this.#ends.chance.happens(0.3) ? this.#ends.chance.between(1, 9) : 0;
    const exec = !this.#ends.chance.happens(0.05);
    const params = { ms: String(this.#ends.chance.pick([5, 200, 2_000, 9_000])), code: String(code), exec: exec ? "yes" : "no" };
    const asked: Asked = { code, exec, taskId, stopped: false, stopAnswered: false, signalled: false };
    this.asked.set(runId, asked);
    const item = {
      taskId,
      runId,
      params,
      workerId: null,
      labels: {},
      idempotencyKey: null,
      bodyHash: "",
      trace: `00-${"1".repeat(32)}-${"2".repeat(16)}-01`,
    };
    let tries = 0;
    this.#insist(
      (answered) => {
        tries += 1;
        this.#ends.manager.ask({ kind: "startRun", item: { ...item, mayExist: tries > 1 }, by: "sim", byReason: null }, answered);
      },
      (answer) => {
        if (answer.kind !== "run") this.#ends.witness.violated(`the start of ${runId} was answered ${JSON.stringify(answer)}`);
        else this.acknowledged.add(runId);
        if (this.#ends.chance.happens(0.25))
          this.#ends.schedule.after(this.#ends.chance.between(0, 6_000), () => this.#stop(runId, asked));
        if (this.#ends.chance.happens(0.15))
          this.#ends.schedule.after(this.#ends.chance.between(0, 6_000), () => this.#signal(runId, asked));
      },
    );
  }

  #stop(runId: string, asked: Asked): void {
    asked.stopped = true;
    this.#insist(
      (answered) => this.#ends.manager.ask({ kind: "stopRun", runId, graceSeconds: 1, by: "sim", byReason: null }, answered),
      (answer) => (asked.stopAnswered = answer.kind === "run"),
    );
  }

  #signal(runId: string, asked: Asked): void {
    asked.signalled = true;
    this.#insist((answered) =>
      this.#ends.manager.ask({ kind: "signalRun", runId, signal: "SIGUSR1", by: "sim", byReason: null }, answered),
    );
  }

  /** Off is asked for only once on was answered, so that no late repeat drains it for ever. */
  drain(workerId: string, forMs: number): void {
    const drain = (on: boolean, done: () => void): void =>
      this.#insist(
        (answered) => this.#ends.manager.ask({ kind: "drainWorker", workerId, on, by: "sim", byReason: null }, answered),
        done,
      );
    drain(true, () => this.#ends.schedule.after(forMs, () => drain(false, () => undefined)));
  }

  #insist(ask: (answered: (answer: SimAnswer) => void) => void, done: (answer: SimAnswer) => void = () => undefined): void {
    let settled = false;
    const again = (): void => {
      if (settled) return;
      ask((answer) => {
        if (settled) return;
        settled = true;
        done(answer);
      });
      this.#ends.schedule.after(3_000, again);
    };
    again();
  }
}
