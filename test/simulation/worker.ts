import type { Commands } from "../../schema/messages.ts";
import type { UplinkKind } from "../../schema/topics.ts";
import type { JournalMeta, JournalWrite, LedgerEntry, StoredReport } from "../../worker/agent/records.ts";
import type { AgentAction, AgentInput, AgentOptions } from "../../worker/agent/types.ts";
import { SimHost } from "./host.ts";
import type { Product } from "./product.ts";
import type { Schedule } from "./schedule.ts";
import type { Chance } from "./seeded.ts";
import type { Witness } from "./witness.ts";
import { simTiming } from "./manager.ts";

type AgentState = ReturnType<Product["agent"]["createAgent"]>;

/** A start as it came: what rule 6 asks of its launch. */
interface Came {
  readonly epoch: string;
  readonly mono: number;
  readonly ttlMs: number;
}

export interface WorkerEnds {
  readonly product: Product;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly witness: Witness;
  readonly publish: (worker: SimWorker, kind: UplinkKind, message: unknown) => void;
  readonly broken: (error: unknown) => void;
}

const startTtlMs = 3_500;

/** A worker in the simulation: the real core over a journal that is durable at once, on a host that only pretends. */
export class SimWorker {
  readonly id: string;
  readonly host: SimHost;
  readonly #ends: WorkerEnds;
  readonly #slots: number;
  #meta: JournalMeta;
  #entries = new Map<string, LedgerEntry>();
  #reports = new Map<number, StoredReport>();
  readonly #came = new Map<string, Came[]>();
  #agent: AgentState | undefined;
  #epoch = "";
  #life = 0;
  #connection = 0;
  connected = false;
  #dueAtMs = Number.POSITIVE_INFINITY;
  /** Set by the world: die at the next step that writes. */
  dieAt: "beforeJournal" | "afterJournal" | undefined;

  constructor(id: string, ends: WorkerEnds) {
    this.id = id;
    this.#ends = ends;
    this.#slots = ends.chance.between(1, 3);
    this.host = new SimHost({ ...ends, worker: id, slots: this.#slots });
    this.#meta = this.#newMeta();
  }

  get up(): boolean {
    return this.#agent !== undefined;
  }

  /** Identifies one connection of one life, so that what belongs to an earlier one is not delivered to it. */
  get session(): string {
    return `${this.#epoch}/${this.#connection}`;
  }

  #newMeta(): JournalMeta {
    return { journal: this.#ends.chance.twelve("journal"), n: 0, highestTerm: 0, highestAck: 0, nextSeq: 1 };
  }

  start(): void {
    const { chance, product } = this.#ends;
    this.#life += 1;
    this.#meta = { ...this.#meta, n: this.#meta.n + 1 };
    this.#epoch = `${this.#meta.journal}.${this.#meta.n}.${chance.twelve("nonce")}`;
    this.#connection = 0;
    const entries = [...this.#entries.values()];
    this.#agent = product.agent.createAgent(
      this.#options(),
      { meta: this.#meta, entries, reports: [...this.#reports.values()] },
      this.host.now(),
    );
    const found = entries
      .filter((entry) => entry.state !== "ended" && entry.state !== "accepted")
      .map((entry) => this.host.look(entry));
    this.host.listener = (input) => this.feed(input);
    this.feed({ kind: "recovered", found });
  }

  #options(): AgentOptions {
    const facts = {
      os: "linux",
      osVersion: "",
      arch: "x64",
      hostname: this.id,
      cpus: 4,
      memoryMb: 4_000,
      interpreters: { sh: "1" },
      drivers: ["exec", "script"],
      agentVersion: "0",
      nodeVersion: "",
      bootId: this.host.bootId,
    };
    return {
      epoch: this.#epoch,
      facts,
      labels: {},
      capacity: { slots: this.#slots, memoryMb: 4_000, cpus: 4 },
      survives: true,
      http: false,
      fences: true,
      gatherMs: 20,
      settings: { heartbeatMs: simTiming.heartbeatMs, startTtlMs, workerLostMs: 7_500 },
    };
  }

  connect(): void {
    if (!this.#agent || this.connected) return;
    this.#connection += 1;
    this.connected = true;
    this.feed({ kind: "connected", connection: this.#connection });
  }

  /** The link is cut; the broker publishes the last will, late perhaps. */
  cut(): void {
    if (!this.connected) return;
    this.connected = false;
    this.#ends.publish(this, "status", this.#ends.product.agent.willOf(this.#epoch, this.#connection));
    this.feed({ kind: "disconnected" });
  }

  /** kill -9 of the agent: its processes go on. */
  die(): void {
    this.cut();
    this.#agent = undefined;
    this.host.listener = null;
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    this.dieAt = undefined;
  }

  reboot(): void {
    this.die();
    this.host.reboot();
  }

  receive(session: string, envelope: Commands): void {
    if (!this.connected || session !== this.session) return;
    for (const item of envelope.items) {
      if (item.kind !== "start") continue;
      const came = this.#came.get(item.attempt) ?? [];
      came.push({ ...envelope.asOf, ttlMs: item.ttlMs });
      this.#came.set(item.attempt, came);
    }
    this.feed({ kind: "commands", message: envelope });
  }

  /** One step, now or when the host wakes. */
  feed(input: AgentInput): void {
    const life = this.#life;
    this.host.awake(() => {
      if (life === this.#life) this.#step(input);
    });
  }

  #step(input: AgentInput): void {
    const agent = this.#agent;
    if (!agent) return;
    const { draining } = agent;
    const step = this.#ends.product.agent.step(agent, input, this.host.now());
    if (draining && agent.draining) this.#checkDrained(step.journal);
    if (this.dieAt && step.journal.length > 0) {
      if (this.dieAt === "afterJournal") this.#write(step.journal);
      this.die();
      return;
    }
    this.#write(step.journal);
    for (const action of step.actions) this.#act(action);
    this.#plan();
  }

  #checkDrained(writes: readonly JournalWrite[]): void {
    for (const write of writes) {
      if (write.write !== "entry" || this.#entries.has(write.entry.attempt) || write.entry.state === "ended") continue;
      this.#ends.witness.violated(`${this.id} drains and took ${write.entry.attempt}`);
    }
  }

  #write(writes: readonly JournalWrite[]): void {
    for (const write of writes) {
      switch (write.write) {
        case "meta":
          this.#meta = { ...this.#meta, ...write.set };
          break;
        case "entry":
          this.#entries.set(write.entry.attempt, structuredClone(write.entry));
          break;
        case "report":
          this.#reports.set(write.report.seq, write.report);
          this.#meta = { ...this.#meta, nextSeq: Math.max(this.#meta.nextSeq, write.report.seq + 1) };
          break;
        case "acked":
          for (const seq of this.#reports.keys()) if (seq <= write.seq) this.#reports.delete(seq);
          break;
        case "forget":
          for (const attempt of write.attempts) this.#entries.delete(attempt);
          break;
      }
    }
  }

  #plan(): void {
    const { schedule, product } = this.#ends;
    if (!this.#agent) return;
    const { mono } = this.host.now();
    const due = product.agent.nextDue(this.#agent) ?? Number.POSITIVE_INFINITY;
    const atMs = schedule.nowMs + Math.max(1, Math.min(1_000, due - mono));
    if (atMs >= this.#dueAtMs) return;
    this.#dueAtMs = atMs;
    const life = this.#life;
    schedule.after(atMs - schedule.nowMs, () => {
      if (life !== this.#life || this.#dueAtMs !== atMs) return;
      this.host.awake(() => {
        if (life !== this.#life || this.#dueAtMs !== atMs) return;
        this.#dueAtMs = Number.POSITIVE_INFINITY;
        this.feed({ kind: "tick", load: { cpu: 0, memoryMb: 0 }, spoolBytes: 0 });
      });
    });
  }

  #act(action: AgentAction): void {
    switch (action.action) {
      case "publish":
        if (this.connected) this.#ends.publish(this, action.what, action.message);
        return;
      case "launch":
        this.#checkFresh(action.order.attempt);
        this.host.launch(action);
        return;
      case "terminate":
        this.host.terminate(action.attempt);
        return;
      case "kill":
        this.host.kill(action.attempt);
        return;
      case "signal":
        this.host.signal(action.attempt, action.signal);
        return;
      case "deadlines":
        this.host.setDeadlines(action.attempt, action.deadlines);
        return;
      case "disconnect":
        this.#leaveFor(action.retryAfterMs, action.newJournal);
        return;
      case "fetchBody":
        this.#ends.broken(new Error("no start of this world has a body"));
        return;
      case "logsAck":
      case "settled":
      case "note":
        return;
    }
  }

  /** Rule 6, from outside: some start of it was for this epoch, is fresh, and was confirmed since the host last slept for long. */
  #checkFresh(attempt: string): void {
    const { mono } = this.host.now();
    const { fromMs, toMs } = this.host.lastSleep;
    const sinceMono = toMs - fromMs > startTtlMs / 2 ? mono - (this.#ends.schedule.nowMs - toMs) : Number.NEGATIVE_INFINITY;
    const good = this.#came
      .get(attempt)
      ?.some((came) => came.epoch === this.#epoch && came.mono >= sinceMono && mono - came.mono < came.ttlMs);
    if (!good) this.#ends.witness.violated(`${this.id} launches ${attempt} by a start that is stale or not for this epoch`);
  }

  /** A new journal takes along what may run, as the product's does. */
  #leaveFor(retryAfterMs: number, newJournal: boolean): void {
    this.die();
    if (newJournal) {
      this.#meta = this.#newMeta();
      this.#entries = new Map([...this.#entries].filter(([, { state }]) => state !== "ended" && state !== "accepted"));
      this.#reports = new Map();
    }
    this.host.later(retryAfterMs, () => {
      if (!this.up) this.start();
      this.connect();
    });
  }
}
