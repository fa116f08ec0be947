import type { UplinkKind } from "../../schema/topics.ts";
import type { JournalWrite } from "../../worker/agent/records.ts";
import type { AgentAction, AgentInput } from "../../worker/agent/types.ts";
import type { Shell } from "../../worker/shell.ts";
import { agentOptions, Killed, listenTo, makeAgent, type AgentDeath, type AgentParts, type AgentState } from "./agent.ts";
import type { Line, SimBroker } from "./broker.ts";
import { SimHost } from "./host.ts";
import { SimJournal } from "./journal.ts";
import { fenceMustHold, firesFence, observeAction, observeEntry, stopMustStick } from "./observe.ts";
import type { WorldParts } from "./parts.ts";
import type { Chance } from "./seeded.ts";
import { Stale } from "./stale.ts";
import { uplinkText } from "./story.ts";

export interface WorkerEnds extends WorldParts {
  readonly broker: SimBroker;
}

/** One life of an agent: the real core in its real shell. */
interface AgentLife {
  readonly epoch: string;
  readonly agent: AgentState;
  readonly shell: Shell;
  connection: number;
}

/** A worker: the real agent, its journal and its host simulated. Several may use one id. */
export class SimWorker {
  readonly id: string;
  readonly host: SimHost;
  readonly journal: SimJournal;
  readonly #ends: WorkerEnds;
  readonly #slots: number;
  readonly #stale: Stale;
  readonly #chance: Chance;
  #life: AgentLife | undefined;
  #line: Line | undefined;
  #dueAtMs = Number.POSITIVE_INFINITY;
  /** Until when it stands, or stood, still. */
  #pausedMs = -1;
  /** What waits while the agent's process stands still. */
  #held: (() => void)[] | undefined;
  dieAt: AgentDeath | undefined;
  cutUntilMs = 0;
  retired = false;
  isGone = false; // Its host was destroyed.

  constructor(worker: { readonly id: string; readonly slots: number; readonly hostName: string }, ends: WorkerEnds) {
    const { id, slots, hostName } = worker;
    this.id = id;
    this.#ends = ends;
    this.#slots = slots;
    this.#chance = ends.chance.of(hostName);
    this.host = new SimHost({ ...ends, chance: this.#chance, worker: hostName, slots });
    this.host.onFence = (attempt) => fenceMustHold(attempt, this.host, this.agent, ends);
    this.journal = new SimJournal(hostName, { ...ends, chance: this.#chance });
    this.#stale = new Stale(this.host, this.journal, ends);
    this.journal.onEntry = (entry, before) => {
      observeEntry(hostName, entry, before, ends);
      if (firesFence(entry, before, this.host)) fenceMustHold(entry.attempt, this.host, this.agent, ends);
      if (entry.state === "stopping" && before?.state !== "stopping" && entry.killMono !== null)
        stopMustStick(entry.attempt, entry.killMono - this.host.now().mono, this.host, ends, this.#undisturbed());
    };
  }

  get agent(): AgentState | undefined {
    return this.#life?.agent;
  }

  get line(): Line | undefined {
    return this.#line;
  }

  start(): void {
    if (this.#life || this.retired) return;
    const { product } = this.#ends;
    this.journal.open();
    const { journal, n } = this.journal.meta;
    const epoch = `${journal}.${n}.${this.#chance.twelve("nonce")}`;
    this.#ends.trace.tell(() => `agent ${this.host.name} starts, epoch ${epoch}`);
    const found = this.host.lookAt(this.journal.entries());
    if (found.some((one) => one.found === "alive")) this.#ends.counters.happened("an orphan of a restarted agent was adopted");
    const put = (input: AgentInput): void => {
      if (life === this.#life) this.#put(input);
    };
    const parts: AgentParts = {
      product,
      options: agentOptions({ id: this.id, slots: this.#slots, bootId: this.host.bootId }, epoch, this.#ends.plan.timing),
      host: this.host,
      journal: this.journal,
      write: (writes) => this.#write(writes),
      violated: this.#ends.witness.violated,
      acts: (action) => this.#acts(epoch, action),
      put,
      publish: (kind, message) => this.#publish(kind, message),
      restFor: (ms) => this.#restFor(ms),
      newJournal: (afterMs) => this.#newJournal(afterMs),
    };
    const life: AgentLife = { epoch, ...makeAgent(parts), connection: 0 };
    this.#life = life;
    listenTo(parts);
    for (const { attempt } of this.journal.entries()) this.host.output.track(attempt);
    this.#put({ kind: "recovered", found });
    this.#connectSoon(this.#chance.between(0, 500));
  }

  /** Whether this life has gone on, awake, from now to when it is asked. */
  #undisturbed(): () => boolean {
    const life = this.#life;
    const { nowMs } = this.#ends.schedule;
    return () => life === this.#life && this.#pausedMs < nowMs;
  }

  /** The two moments around a write at which a process may die. */
  #write(writes: readonly JournalWrite[]): void {
    // Acks alone are not worth dying for: it waits for a write that decides something.
    const decides = writes.some(({ write }) => write === "entry");
    if (decides && this.dieAt === "beforeJournal") this.#kill();
    this.journal.write(writes);
    if (decides && this.dieAt === "afterJournal") this.#kill();
  }

  #acts(epoch: string, action: AgentAction): void {
    if (this.dieAt === "betweenActions" && this.#chance.happens(0.5)) this.#kill();
    this.#stale.acts(epoch, action);
    observeAction(this.host.name, action, this.#ends);
  }

  #kill(): never {
    this.die();
    throw new Killed();
  }

  #publish(kind: UplinkKind, message: object): void {
    const { broker, trace } = this.#ends;
    if (!this.#line) return;
    const text = JSON.stringify(message);
    trace.hash(text);
    // Heartbeats would be most of every story.
    if (kind !== "heartbeat") trace.tell(() => `${this.host.name} > ${kind} ${uplinkText(kind, message)}`);
    broker.publishUp(this.#line, kind, Buffer.from(text));
  }

  /** An input of this host; a turn follows soon. */
  #put(input: AgentInput): void {
    this.#life?.shell.put(input);
    this.#plan(this.#ends.schedule.nowMs + this.#chance.between(0, 2));
  }

  #plan(atMs: number): void {
    const { schedule } = this.#ends;
    if (atMs >= this.#dueAtMs) return;
    this.#dueAtMs = atMs;
    const life = this.#life;
    schedule.after(atMs - schedule.nowMs, () => {
      if (life !== this.#life || this.#dueAtMs !== atMs) return;
      this.#awake(() => life === this.#life && this.#turn());
    });
  }

  #turn(): void {
    const life = this.#life;
    if (!life) return;
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    try {
      life.shell.once();
      this.host.output.sweep();
      if (life.shell.journalFull !== null) this.#ends.counters.happened("a journal was full");
    } catch (error) {
      if (!(error instanceof Killed)) this.#ends.broken(error);
      return;
    }
    if (life !== this.#life) return;
    const due = this.#ends.product.agent.nextDue(life.agent) ?? Number.POSITIVE_INFINITY;
    this.#plan(this.#ends.schedule.nowMs + Math.max(1, Math.min(4_000, due - this.host.now().mono)));
  }

  /** Does it now, or when its host and its process are awake. */
  #awake(act: () => void): void {
    this.host.awake(() => (this.#held ? void this.#held.push(act) : act()));
  }

  /** SIGSTOP of the agent alone: its processes and the watchdog go on. It goes on when its host is awake. */
  pause(forMs: number): void {
    if (this.#held || !this.#life) return;
    this.#held = [];
    this.#pausedMs = this.#ends.schedule.nowMs + forMs;
    this.#ends.schedule.after(forMs, () => this.host.awake(() => this.#resume()));
  }

  #resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const act of held) act();
  }

  #connectSoon(delayMs: number): void {
    const life = this.#life;
    this.#ends.schedule.after(delayMs, () =>
      this.#awake(() => life && life === this.#life && !this.#line && this.#connect(life)),
    );
  }

  #connect(life: AgentLife): void {
    const { broker, schedule, product } = this.#ends;
    const again = (): void => this.#connectSoon(this.#chance.between(100, 4_000));
    if (schedule.nowMs < this.cutUntilMs) return again();
    life.connection += 1;
    const will = Buffer.from(JSON.stringify(product.agent.willOf(life.epoch, life.connection)));
    const line = broker.connectWorker(
      this.id,
      will,
      () => {
        if (this.#line !== line) return;
        this.#line = undefined;
        this.host.output.down();
        if (life !== this.#life) return;
        this.#put({ kind: "disconnected" });
        again();
      },
      (payload) => this.#awake(() => life === this.#life && this.#line === line && this.#receive(life, payload)),
    );
    if (!line) return again();
    this.#line = line;
    this.#put({ kind: "connected", connection: life.connection });
    this.host.output.up((piece) => this.#publish("logs", { ...this.#head(life), start: 1, ...piece }));
  }

  #head({ epoch, connection }: AgentLife): object {
    return { v: 1, epoch, connection, mono: this.host.now().mono };
  }

  #receive(life: AgentLife, payload: Uint8Array): void {
    const known = (attempt: string): boolean => life.agent.live.has(attempt) || life.agent.ended.has(attempt);
    if (this.#stale.came(payload).some(known)) this.#ends.counters.happened("a start of a known attempt was answered");
    life.shell.offer(payload);
    this.#plan(this.#ends.schedule.nowMs + this.#chance.between(0, 2));
  }

  /** The link breaks. */
  cut(why = "the network is gone"): void {
    if (this.#line) this.#ends.broker.cut(this.#line, why);
  }

  /** kill -9 of the agent: its processes go on. */
  die(): void {
    if (!this.#life) return;
    this.#ends.trace.tell(() => `agent ${this.host.name} is killed`);
    this.#life = undefined;
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    this.dieAt = undefined;
    this.host.listener = null;
    this.host.output.forget();
    this.#held = undefined;
    this.cut("the agent is gone");
  }

  /** It is told to leave, and goes when it has said so. */
  leave(stopRuns: boolean): void {
    const life = this.#life;
    if (!life) return;
    this.#put({ kind: "leave", stopRuns });
    this.#ends.schedule.after(3_000, () => this.#awake(() => life === this.#life && this.#goodbye()));
  }

  #goodbye(): void {
    const line = this.#line;
    this.#line = undefined;
    if (line) this.#ends.broker.leave(line);
    this.die();
  }

  reboot(): void {
    this.die();
    this.host.reboot();
  }

  /** Refused for now. */
  #restFor(ms: number): void {
    const line = this.#line;
    const life = this.#life;
    if (!line || !life) return;
    this.#publish("status", { st: "off", ep: life.epoch, cn: life.connection });
    this.#line = undefined;
    this.#ends.broker.leave(line);
    this.#put({ kind: "disconnected" });
    this.#connectSoon(ms);
  }

  /** Its journal was given up: it comes back with another, and with what runs. */
  #newJournal(afterMs: number): void {
    const life = this.#life;
    if (!life) return;
    this.#ends.counters.happened("a worker began a new journal");
    const running = [...life.agent.live.values()].flatMap(({ entry }) => (entry.state === "accepted" ? [] : [entry]));
    this.#goodbye();
    this.journal.renew(running);
    this.host.later(afterMs, () => this.start());
  }
}
