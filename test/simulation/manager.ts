import { timing } from "../../schema/limits.ts";
import type { UplinkKind } from "../../schema/topics.ts";
import type { Request } from "../../manager/control/inputs.ts";
import type { Outcome } from "../../manager/control/outputs.ts";
import type { PoolEngine } from "../../manager/engine/engine.ts";
import type { ReadStore } from "../../manager/store/store.ts";
import type { Problem } from "../../schema/problem.ts";
import type { Line, SimBroker } from "./broker.ts";
import type { SimDatabase } from "./database.ts";
import { leaseTiming } from "./lease-timing.ts";
import { Life } from "./life.ts";
import { log } from "./quiet.ts";
import type { WorldParts } from "./parts.ts";
import type { Product } from "./product.ts";
import type { Rules } from "./rules.ts";

export const pool = "default";
export const queueWindow = 20;
export const taskCache = 3;

export type SimAnswer = Outcome | { readonly kind: "problem"; readonly problem: Problem };

/** When a manager that is doomed dies: before its next commit is sent, once it is sent, or when it is done and not answered. */
export type Death = "beforeSent" | "sent" | "done";

export interface ManagerEnds extends WorldParts {
  readonly broker: SimBroker;
  readonly database: SimDatabase;
  readonly rules: Rules;
}

/** A manager: the real engine, its clock and waits the world's, its store and its wire simulated; one process life after the other. */
export class SimManager {
  readonly id: string;
  readonly #ends: ManagerEnds;
  #life: Life | undefined;
  #engine: PoolEngine | undefined;
  #line: Line | undefined;
  #intake: InstanceType<Product["intake"]["LogIntake"]> | undefined;
  #lives = 0;
  dieAt: Death | undefined;
  cutUntilMs = 0;
  noDatabaseUntilMs = 0;
  #led = false;

  constructor(id: string, ends: ManagerEnds) {
    this.id = id;
    this.#ends = ends;
  }

  get engine(): PoolEngine | undefined {
    return this.#engine;
  }

  get life(): Life | undefined {
    return this.#life;
  }

  /** It leads, is awake, and has its wire and its database. */
  get leadsWell(): boolean {
    return this.#engine?.lead !== undefined && this.#line?.open === true && !this.#engine.trouble && !this.#life?.paused;
  }

  start(): void {
    if (this.#life) return;
    const { schedule, chance, product, trace } = this.#ends;
    this.#lives += 1;
    const name = `${this.id}-${this.#lives}`;
    trace.tell(() => `${name} starts`);
    const life = new Life(name, {
      schedule,
      chance: chance.of(name),
      // Rule 10: two intervals, and a tick that was due just before.
      absentMs: 2 * this.#ends.plan.timing.heartbeatMs + leaseTiming.tickMs,
    });
    this.#life = life;
    life.cutFromDatabase = schedule.nowMs < this.noDatabaseUntilMs;
    const outbox = new product.outbox.Outbox("muster", (workerId, item) =>
      this.#ends.broken(new Error(`an item ${item.kind} for ${workerId} is too large`)),
    );
    const engine = this.#makeEngine(life, outbox);
    this.#engine = engine;
    this.#intake = new product.intake.LogIntake({
      ...this.#ends.database.logsOf(life),
      log,
      streamBytes: 1_000_000,
      acknowledge: (_pool, workerId, item) => life.alive && engine.acknowledgeLogs(workerId, item),
    });
    life.run(() => engine.start());
    void engine.failed.then((error) => life.alive && this.#ends.broken(error));
    this.#connect(life, engine, outbox);
  }

  #makeEngine(life: Life, outbox: InstanceType<Product["outbox"]["Outbox"]>): PoolEngine {
    const { product, plan, chance, rules, database } = this.#ends;
    const { heartbeatMs, brakeHoldMs, startResendMs } = plan.timing;
    const store = database.clientOf(life);
    return new product.engine.PoolEngine({
      store: { ...store, commit: (batch) => this.#commit(life, () => store.commit(rules.committing(life, batch))) },
      clock: life.clock,
      timers: life.timers,
      dice: chance.of(`${life.name} dice`).dice(life.name),
      log,
      holder: life.name,
      options: {
        pool,
        timing: {
          ...timing,
          heartbeatMs,
          brakeHoldMs,
          startResendMs,
          resendFirstMs: 1_000,
          resendMaxMs: 8_000,
          brakeReleasePerSecond: 1,
        },
        limits: { queueWindow, waitingRuns: 10_000, prefetch: 2, taskCache, logStreamBytes: 1_000_000 },
        placement: product.roundRobin.default(),
        sign: (text) => `s${text.length}`,
      },
      timing: leaseTiming,
      send: (workerId, term, command) => {
        if (!life.alive) return;
        rules.publishes(life, workerId, term, command);
        outbox.send({ pool, workerId, term, asOf: command.asOf, items: command.items });
      },
      onEvents: () => undefined,
      onLead: () => this.#listen(life),
      watch: { held: (batch) => rules.held(life, batch) },
    });
  }

  #commit<T>(life: Life, send: () => Promise<T>): Promise<T> {
    const { dieAt } = this;
    if (dieAt === undefined) return send();
    this.dieAt = undefined;
    const never = new Promise<T>(() => undefined);
    if (dieAt === "beforeSent") {
      this.die();
      return never;
    }
    void send().catch(() => undefined);
    if (dieAt === "sent") this.die();
    // Done, and the answer on its way: it takes 4 ms there and back at the most.
    else this.#ends.schedule.after(2, () => life === this.#life && this.die());
    return never;
  }

  #connect(life: Life, engine: PoolEngine, outbox: InstanceType<Product["outbox"]["Outbox"]>): void {
    const { broker, schedule, chance } = this.#ends;
    const again = (): void =>
      void schedule.after(chance.between(200, 3_000), () => life.run(() => this.#connect(life, engine, outbox)));
    if (life !== this.#life) return;
    if (schedule.nowMs < this.cutUntilMs) return again();
    const line = broker.connectManager(
      life.name,
      () =>
        life.run(() => {
          outbox.use(undefined);
          this.#line = undefined;
          again();
        }),
      (workerId, kind, payload) => life.run(() => this.#take(life, engine, workerId, kind, payload)),
    );
    if (!line) return again();
    this.#line = line;
    this.#listen(life);
    outbox.use({
      publish: (topic, payload) => {
        broker.publishDown(line, topic.split("/")[3] ?? "", payload);
        return Promise.resolve();
      },
      subscribe: async () => undefined,
      closed: new Promise(() => undefined),
      close: async () => undefined,
    });
  }

  /** Who leads hears the workers, and what is retained of them. */
  #listen(life: Life): void {
    if (life === this.#life && this.#line && this.#engine?.lead) this.#ends.broker.subscribe(this.#line);
  }

  /** What the product's own link does, in the network's turn. */
  #take(life: Life, engine: PoolEngine, workerId: string, kind: UplinkKind, payload: Uint8Array): void {
    if (!engine.lead) return;
    const parsed = this.#ends.product.inbox.parseUplink(workerId, kind, payload);
    if (parsed.kind === "unreadable") this.#ends.broken(new Error(`the worker's ${kind} is unreadable: ${parsed.why}`));
    if (parsed.kind === "logs") this.#intake?.take(pool, workerId, parsed.message);
    if (parsed.kind !== "input") return;
    if (engine.post(parsed.input, payload.byteLength)) this.#ends.rules.posted(life, workerId, parsed.input);
  }

  /** kill -9: whatever waited and whoever waited is gone. */
  die(): void {
    const life = this.#life;
    if (!life) return;
    this.#ends.trace.tell(() => `${life.name} is killed`);
    life.alive = false;
    this.#gone();
  }

  #gone(): void {
    this.#life = undefined;
    this.#engine = undefined;
    this.#intake = undefined;
    this.dieAt = undefined;
    if (this.#line) this.#ends.broker.leave(this.#line);
    this.#line = undefined;
  }

  /** Told to stop: it gives the lease back, and those who wait get an answer. */
  stop(): void {
    const life = this.#life;
    const engine = this.#engine;
    if (!life || !engine) return;
    this.#ends.trace.tell(() => `${life.name} is told to stop`);
    life.run(() => {
      if (this.#line) this.#ends.broker.leave(this.#line);
      this.#line = undefined;
      void engine.stop().then(() => {
        if (life !== this.#life) return;
        life.alive = false;
        this.#gone();
      });
    });
  }

  cut(): void {
    if (this.#line) this.#ends.broker.cut(this.#line, "the network is gone");
  }

  /** A client's request. The answer may come never: then the process is gone. */
  ask(request: Request, answered: (answer: SimAnswer) => void): boolean {
    const life = this.#life;
    const engine = this.#engine;
    if (!life || !engine) return false;
    life.run(() => {
      let outcome: Promise<Outcome>;
      try {
        outcome = engine.ask(request);
      } catch (error) {
        return answered(problemOf(error));
      }
      outcome.then(
        (done) => life.alive && answered(done),
        (error: unknown) => life.alive && answered(problemOf(error)),
      );
    });
    return true;
  }

  read<T>(look: (store: ReadStore) => Promise<T>, then: (value: T) => void): void {
    const life = this.#life;
    if (!life) return;
    life.run(() => void this.#ends.database.read(life, look).then(then, () => undefined));
  }

  /** Counts takeovers; called now and then. */
  noteLead(): void {
    const leads = this.#engine?.lead !== undefined;
    if (leads && !this.#led && this.#ends.database.term > 1) this.#ends.counters.happened("a second manager took over");
    this.#led = leads;
  }
}

function problemOf(error: unknown): SimAnswer {
  const { problem } = error as { readonly problem?: Problem };
  if (!problem) throw error;
  return { kind: "problem", problem };
}
