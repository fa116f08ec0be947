/**
 * A whole fleet in one process under one seed: the real cores of manager and worker, no process, socket, timer or database.
 * Faults come for a while, then everything heals; afterwards every run must have ended, once, and truthfully.
 */
import type { Change } from "../../manager/control/changes.ts";
import { isTerminal } from "../../schema/run.ts";
import { SimManager, type SimAnswer } from "./manager.ts";
import { Network } from "./network.ts";
import type { Product } from "./product.ts";
import { Schedule } from "./schedule.ts";
import { Chance } from "./seeded.ts";
import { SimWorker } from "./worker.ts";
import { Witness } from "./witness.ts";

export interface WorldResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly runs: number;
  readonly processes: number;
  readonly faults: number;
  readonly endedAtMs: number;
  /** Hash of everything that became durable, in order: the same seed gives the same one. */
  readonly trace: number;
  readonly states: Readonly<Record<string, number>>;
}

const faultsUntilMs = 40_000;
const giveUpAfterSeconds = 30;
const worldEndsMs = faultsUntilMs + giveUpAfterSeconds * 1_000 + 180_000;
const task = { script: { driver: "script", interpreter: "sh", script: "work" }, params: { ms: "100", code: "0" } } as const;

export class World {
  readonly #seed: number;
  readonly #chance: Chance;
  readonly #schedule = new Schedule();
  readonly #witness = new Witness();
  readonly #network: Network;
  readonly #manager: SimManager;
  readonly #workers: SimWorker[];
  readonly #product: Product;
  readonly #acknowledged = new Set<string>();
  readonly #asked = new Map<string, { readonly code: number; stopped: boolean }>();
  /** Runs of which a `runEnded` was written, and the terminal state of each. */
  readonly #ended = new Set<string>();
  readonly #terminal = new Map<string, string>();
  #taskIds: string[] = [];
  #faults = 0;
  #trace = 17;

  constructor(seed: number, product: Product) {
    this.#seed = seed;
    this.#product = product;
    this.#chance = new Chance(seed);
    const { loss, repeat } = { loss: this.#chance.next() * 0.3, repeat: this.#chance.next() * 0.3 };
    this.#network = new Network(this.#schedule, this.#chance, {
      loss,
      repeat,
      minDelayMs: 1,
      maxDelayMs: this.#chance.pick([20, 400, 2_000]),
    });
    const common = { product, schedule: this.#schedule, chance: this.#chance, broken: (error: unknown) => this.#broken(error) };
    this.#manager = new SimManager({
      ...common,
      publish: (workerId, envelope) => this.#down(workerId, envelope),
      committed: (changes) => this.#committed(changes),
    });
    this.#workers = Array.from(
      { length: this.#chance.between(3, 5) },
      (_, i) =>
        new SimWorker(`w${i + 1}`, {
          ...common,
          witness: this.#witness,
          publish: (worker, kind, message) => this.#network.send(message, (copy) => this.#manager.receive(worker.id, kind, copy)),
        }),
    );
  }

  async play(): Promise<WorldResult> {
    await this.#manager.start();
    for (const worker of this.#workers) {
      worker.start();
      worker.connect();
    }
    this.#makeTasks();
    this.#schedule.after(500, () => this.#makeClients());
    this.#planFaults();
    this.#schedule.after(faultsUntilMs, () => this.#heal());
    while ((await this.#schedule.step(worldEndsMs)) && this.#witness.violations.length === 0) {
      if (this.#schedule.nowMs > faultsUntilMs && this.#allEnded()) break;
    }
    if (this.#witness.violations.length === 0) await this.#judge();
    return this.#result();
  }

  #down(workerId: string, envelope: unknown): void {
    const worker = this.#workers.find((each) => each.id === workerId);
    if (!worker) return;
    const { session } = worker;
    this.#network.send(envelope, (copy) => worker.receive(session, copy));
  }

  #makeTasks(): void {
    const kinds = [
      { onLost: "wait", giveUpAfterSeconds },
      { onLost: "wait", giveUpAfterSeconds, retry: { attempts: 3, backoffSeconds: 1 } },
      { onLost: "fail" },
      { onLost: "retry", lostAfterSeconds: 10 },
    ];
    this.#taskIds = kinds.map((kind, i) => {
      const id = `task-${i}`;
      const definition = this.#product.task.taskInput.parse({
        name: id,
        run: task.script,
        params: task.params,
        killGraceSeconds: 1,
        ...kind,
      });
      this.#insist((answered) =>
        this.#manager.ask(
          { kind: "createTask", id, store: { definition, body: null, script: null }, by: "sim", byReason: null },
          answered,
        ),
      );
      return id;
    });
  }

  #makeClients(): void {
    const count = this.#chance.between(30, 45);
    for (let i = 0; i < count; i += 1)
      this.#schedule.after(this.#chance.between(0, faultsUntilMs - 8_000), () => this.#client(this.#chance.name("run-")));
  }

  /** Asks for one run, again and again until somebody answers: the repeat names the run that the first try may have made. */
  #client(runId: string): void {
    const taskId = this.#chance.pick(this.#taskIds);
    const code = this.#chance.happens(0.3) ? this.#chance.between(1, 9) : 0;
    const params = { ms: String(this.#chance.pick([5, 200, 2_000, 9_000])), code: String(code) };
    this.#asked.set(runId, { code, stopped: false });
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
        this.#manager.ask({ kind: "startRun", item: { ...item, mayExist: tries > 1 }, by: "sim", byReason: null }, answered);
      },
      (answer) => {
        if (answer.kind !== "run") this.#witness.violated(`the start of ${runId} was answered ${JSON.stringify(answer)}`);
        else this.#acknowledged.add(runId);
        if (this.#chance.happens(0.25)) this.#schedule.after(this.#chance.between(0, 6_000), () => this.#stop(runId));
      },
    );
  }

  #stop(runId: string): void {
    const asked = this.#asked.get(runId);
    if (asked) asked.stopped = true;
    this.#insist((answered) =>
      this.#manager.ask({ kind: "stopRun", runId, graceSeconds: 1, by: "sim", byReason: null }, answered),
    );
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
      this.#schedule.after(3_000, again);
    };
    again();
  }

  #planFaults(): void {
    const count = this.#chance.between(20, 30);
    for (let i = 0; i < count; i += 1)
      this.#schedule.after(this.#chance.between(1_000, faultsUntilMs - 2_000), () => this.#fault());
  }

  #fault(): void {
    this.#faults += 1;
    const worker = this.#chance.pick(this.#workers);
    const awayMs = this.#chance.pick([10, 500, 3_000, 12_000]);
    switch (
      this.#chance.pick(["agent", "agentAtStep", "cut", "cut", "reboot", "manager", "managerAtCommit", "broker"] as const)
    ) {
      case "agent":
        worker.die();
        this.#backLater(worker, awayMs);
        return;
      case "agentAtStep":
        worker.dieAt = this.#chance.pick(["beforeJournal", "afterJournal"]);
        this.#backLater(worker, awayMs + 2_000);
        return;
      case "cut":
        worker.cut();
        this.#backLater(worker, awayMs);
        return;
      case "reboot":
        worker.reboot();
        this.#backLater(worker, awayMs);
        return;
      case "manager":
        this.#manager.die();
        this.#managerLater(awayMs);
        return;
      case "managerAtCommit":
        this.#manager.dieAt = this.#chance.pick(["beforeCommit", "afterCommit"]);
        this.#managerLater(awayMs + 1_500);
        return;
      case "broker":
        for (const each of this.#workers) {
          each.cut();
          this.#backLater(each, this.#chance.between(0, 3_000));
        }
        return;
    }
  }

  #backLater(worker: SimWorker, delayMs: number): void {
    this.#schedule.after(delayMs, () => {
      worker.dieAt = undefined;
      if (!worker.up) worker.start();
      worker.connect();
    });
  }

  #managerLater(delayMs: number): void {
    this.#schedule.after(delayMs, async () => {
      this.#manager.dieAt = undefined;
      if (!this.#manager.up) await this.#manager.start();
    });
  }

  #heal(): void {
    this.#network.weather = { loss: 0, repeat: 0, minDelayMs: 1, maxDelayMs: 10 };
    this.#managerLater(0);
    for (const worker of this.#workers) this.#backLater(worker, 0);
  }

  /** Every durable change passes here: what is terminal never changes, and nothing ends twice. */
  #committed(changes: readonly Change[]): void {
    for (const change of changes) {
      this.#trace = hash(this.#trace, JSON.stringify(change));
      if (change.op === "insertEvent" && change.row.kind === "runEnded") {
        const runId = String(change.row.runId);
        if (this.#ended.has(runId)) this.#witness.violated(`run ${runId} ended twice`);
        this.#ended.add(runId);
      }
      if (change.op !== "updateRun" && change.op !== "insertRun") continue;
      const [id, state] = change.op === "insertRun" ? [change.row.id, change.row.state] : [change.id, change.set.state];
      if (state === undefined) continue;
      const before = this.#terminal.get(id);
      if (before !== undefined && before !== state) this.#witness.violated(`run ${id} was ${before} and became ${state}`);
      if (isTerminal(state)) this.#terminal.set(id, state);
    }
  }

  #allEnded(): boolean {
    return [...this.#asked.keys()].every((id) => this.#terminal.has(id));
  }

  async #judge(): Promise<void> {
    for (const id of this.#acknowledged)
      if (!(await this.#manager.store.run(id))) this.#witness.violated(`run ${id} was acknowledged and is gone`);
    for (const [id, asked] of this.#asked) {
      const found = await this.#manager.store.run(id);
      if (!found) continue;
      const { run, attempts } = found;
      if (!isTerminal(run.state)) {
        this.#witness.violated(
          `run ${id} is stuck ${run.state}: attempts ${attempts.map((a) => `${a.id} on ${a.workerId} ${a.state} ${JSON.stringify(a.end)}`).join("; ")}`,
        );
        continue;
      }
      const processes = this.#witness.ofRun(id);
      const truth = run.end?.how === "exited" ? processes.some((p) => p.code === (run.end as { code: number }).code) : true;
      if (!truth)
        this.#witness.violated(
          `run ${id} is ${run.state} with ${JSON.stringify(run.end)}, but its processes ended ${processes.map((p) => p.code).join(", ")}`,
        );
      if (run.state === "succeeded" && asked.code !== 0)
        this.#witness.violated(`run ${id} succeeded, but its script exits ${asked.code}`);
      if (run.state === "stopped" && !asked.stopped) this.#witness.violated(`run ${id} is stopped and nobody asked for it`);
      for (const attempt of attempts) this.#judgeAttempt(attempt.id, attempt.end);
    }
  }

  #judgeAttempt(id: string, end: { readonly how: string } | null): void {
    const process = this.#witness.ofAttempt(id);
    if (end?.how === "refused" && process) this.#witness.violated(`attempt ${id} is refused, but it ran from ${process.fromMs}`);
    if (end?.how === "failedToStart" && process)
      this.#witness.violated(`attempt ${id} failed to start, but it ran from ${process.fromMs}`);
  }

  #broken(error: unknown): void {
    this.#witness.violated(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }

  #result(): WorldResult {
    const states: Record<string, number> = {};
    for (const id of this.#asked.keys())
      states[this.#terminal.get(id) ?? "never stored"] = (states[this.#terminal.get(id) ?? "never stored"] ?? 0) + 1;
    return {
      seed: this.#seed,
      violations: this.#witness.violations,
      runs: this.#asked.size,
      processes: this.#witness.processes.length,
      faults: this.#faults,
      endedAtMs: this.#schedule.nowMs,
      trace: this.#trace >>> 0,
      states,
    };
  }
}

function hash(seed: number, text: string): number {
  let h = seed;
  for (let i = 0; i < text.length; i += 1) h = (Math.imul(h, 31) + text.charCodeAt(i)) | 0;
  return h;
}
