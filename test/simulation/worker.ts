import type { UplinkKind } from "../../schema/topics.ts";
import type { JournalMeta, JournalWrite, LedgerEntry, StoredReport } from "../../worker/agent/records.ts";
import type { AgentAction, AgentInput, AgentOptions, Deadlines, Found } from "../../worker/agent/types.ts";
import type { Product } from "./product.ts";
import type { Schedule } from "./schedule.ts";
import type { Chance } from "./seeded.ts";
import type { Witness, Witnessed } from "./witness.ts";
import { simTiming } from "./manager.ts";

type AgentState = ReturnType<Product["agent"]["createAgent"]>;

/** What the host knows of one attempt: the files beside it, and its process. */
interface HostAttempt {
  readonly attempt: string;
  readonly bootId: string;
  /** `void`: the agent made `started` before the shim could (rule 23). */
  started: "no" | "void" | "yes";
  process: Witnessed | undefined;
  pid: number;
  startedWall: number;
  exit: { code: number; termBefore: boolean; timedOut: boolean; fenced: boolean } | undefined;
  told: boolean;
  termSent: boolean;
  ignoresTerm: boolean;
  deadlines: Deadlines;
}

export interface WorkerEnds {
  readonly product: Product;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly witness: Witness;
  readonly publish: (worker: SimWorker, kind: UplinkKind, message: unknown) => void;
  readonly broken: (error: unknown) => void;
}

/** A worker's host in the simulation: the real core over a journal that is durable at once, and processes that only pretend. */
export class SimWorker {
  readonly id: string;
  readonly #ends: WorkerEnds;
  #bootedAtMs: number;
  #boots = 1;
  #pids = 100;
  #meta: JournalMeta;
  #entries = new Map<string, LedgerEntry>();
  #reports = new Map<number, StoredReport>();
  readonly #attempts = new Map<string, HostAttempt>();
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
    this.#bootedAtMs = ends.schedule.nowMs - 50_000;
    this.#meta = { journal: ends.chance.twelve("journal"), n: 0, highestTerm: 0, highestAck: 0, nextSeq: 1 };
  }

  get up(): boolean {
    return this.#agent !== undefined;
  }

  /** Identifies one connection of one life, so that what belongs to an earlier one is not delivered to it. */
  get session(): string {
    return `${this.#epoch}/${this.#connection}`;
  }

  get #bootId(): string {
    return `boot-${this.id}-${this.#boots}`;
  }

  #now(): { readonly mono: number; readonly wall: number } {
    const { nowMs } = this.#ends.schedule;
    return { mono: nowMs - this.#bootedAtMs, wall: 1_700_000_000_000 + nowMs };
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
      this.#now(),
    );
    const found = entries
      .filter((entry) => entry.state !== "ended" && entry.state !== "accepted")
      .map((entry) => this.#look(entry));
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
      bootId: this.#bootId,
    };
    const settings = { heartbeatMs: simTiming.heartbeatMs, startTtlMs: 3_500, workerLostMs: 7_500 };
    return {
      epoch: this.#epoch,
      facts,
      labels: {},
      capacity: { slots: 4, memoryMb: 4_000, cpus: 4 },
      survives: true,
      http: false,
      fences: true,
      settings,
    };
  }

  /** What a restarted agent finds of an attempt that its journal says was launched. */
  #look(entry: LedgerEntry): Found {
    const { attempt } = entry;
    const here = this.#attempts.get(attempt);
    if (entry.launchBootId !== null && entry.launchBootId !== this.#bootId) return { attempt, found: "rebooted" };
    if (!here || here.started === "no" || here.started === "void") {
      if (here) here.started = "void";
      else this.#attempts.set(attempt, { ...this.#fresh(attempt), started: "void" });
      return { attempt, found: "neverStarted" };
    }
    const process = { bootId: here.bootId, pid: here.pid, startTicks: here.pid };
    if (!here.exit) return { attempt, found: "alive", process, startedWall: here.startedWall };
    here.told = true;
    const { code, timedOut, fenced } = here.exit;
    return {
      attempt,
      found: "exited",
      exit: { read: "code", code },
      result: { kind: "none" },
      process,
      startedWall: here.startedWall,
      timedOut,
      fenced,
    };
  }

  #fresh(attempt: string): HostAttempt {
    return {
      attempt,
      bootId: this.#bootId,
      started: "no",
      process: undefined,
      pid: 0,
      startedWall: 0,
      exit: undefined,
      told: false,
      termSent: false,
      ignoresTerm: false,
      deadlines: { timeoutMono: null, fenceMono: null, graceMs: 0 },
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
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    this.dieAt = undefined;
  }

  /** The host goes down with everything on it, and is up again with another boot id. */
  reboot(): void {
    this.die();
    for (const here of this.#attempts.values())
      if (here.process && here.process.toMs === null) here.process.toMs = this.#ends.schedule.nowMs;
    this.#boots += 1;
    this.#bootedAtMs = this.#ends.schedule.nowMs;
  }

  receive(session: string, envelope: unknown): void {
    if (!this.connected || session !== this.session) return;
    this.feed({ kind: "commands", message: envelope as never });
  }

  feed(input: AgentInput): void {
    const agent = this.#agent;
    if (!agent) return;
    const step = this.#ends.product.agent.step(agent, input, this.#now());
    if (this.dieAt && step.journal.length > 0) {
      if (this.dieAt === "afterJournal") this.#write(step.journal);
      this.die();
      return;
    }
    this.#write(step.journal);
    for (const action of step.actions) this.#act(action);
    this.#plan();
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
          this.#reports.set(write.report.seq, structuredClone(write.report));
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
    const due = product.agent.nextDue(this.#agent);
    const atMs = Math.max(
      schedule.nowMs + 1,
      due === null ? schedule.nowMs + 1_000 : Math.min(schedule.nowMs + 1_000, due + this.#bootedAtMs),
    );
    if (atMs >= this.#dueAtMs) return;
    this.#dueAtMs = atMs;
    const life = this.#life;
    schedule.after(atMs - schedule.nowMs, () => {
      if (life !== this.#life || this.#dueAtMs !== atMs) return;
      this.#dueAtMs = Number.POSITIVE_INFINITY;
      this.feed({ kind: "tick", load: { cpu: 0, memoryMb: 0 }, spoolBytes: 0 });
    });
  }

  #act(action: AgentAction): void {
    switch (action.action) {
      case "publish":
        if (this.connected) this.#ends.publish(this, action.what, action.message);
        return;
      case "launch":
        this.#launch(action.order.attempt, action.order.run, action.order.env, action.deadlines);
        return;
      case "terminate":
        this.#terminate(action.attempt);
        return;
      case "kill":
        this.#end(action.attempt, 137, {});
        return;
      case "signal":
        return;
      case "deadlines":
        this.#setDeadlines(action.attempt, action.deadlines);
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

  #leaveFor(retryAfterMs: number, newJournal: boolean): void {
    this.die();
    if (newJournal) {
      this.#meta = { journal: this.#ends.chance.twelve("journal"), n: 0, highestTerm: 0, highestAck: 0, nextSeq: 1 };
      this.#entries = new Map();
      this.#reports = new Map();
    }
    this.#ends.schedule.after(retryAfterMs, () => {
      if (!this.up) this.start();
      this.connect();
    });
  }

  /** Tells the launcher: the process begins a little later, unless `started` is void by then or the host went down. */
  #launch(attempt: string, run: string, env: Readonly<Record<string, string>>, deadlines: Deadlines): void {
    const { schedule, chance, witness } = this.#ends;
    const here: HostAttempt = { ...this.#fresh(attempt), ignoresTerm: chance.happens(0.2), deadlines };
    this.#attempts.set(attempt, here);
    const boots = this.#boots;
    schedule.after(chance.between(1, 40), () => {
      if (boots !== this.#boots || here.started !== "no") return;
      here.started = "yes";
      here.process = witness.begins(attempt, run, this.id, schedule.nowMs);
      this.#pids += 1;
      here.pid = this.#pids;
      here.startedWall = this.#now().wall;
      this.feed({
        kind: "started",
        attempt,
        process: { bootId: here.bootId, pid: here.pid, startTicks: here.pid },
        startedWall: here.startedWall,
      });
      this.#setDeadlines(attempt, here.deadlines);
      schedule.after(Number(env["PARAM_ms"]), () => this.#end(attempt, Number(env["PARAM_code"]), {}));
    });
  }

  #terminate(attempt: string): void {
    const here = this.#attempts.get(attempt);
    if (!here || here.exit) return;
    here.termSent = true;
    if (!here.ignoresTerm) this.#ends.schedule.after(this.#ends.chance.between(1, 30), () => this.#end(attempt, 143, {}));
  }

  #setDeadlines(attempt: string, deadlines: Deadlines): void {
    const here = this.#attempts.get(attempt);
    if (!here) return;
    here.deadlines = deadlines;
    if (deadlines.fenceMono === null) return;
    // The watchdog ticks every 2 s and outlives the agent (rule 9).
    this.#ends.schedule.after(deadlines.fenceMono - this.#now().mono + 2_000, () => {
      const { fenceMono } = here.deadlines;
      if (here.bootId === this.#bootId && fenceMono !== null && this.#now().mono >= fenceMono)
        this.#end(attempt, 137, { fenced: true });
    });
  }

  #end(attempt: string, code: number, how: { readonly fenced?: boolean }): void {
    const { schedule } = this.#ends;
    const here = this.#attempts.get(attempt);
    if (!here?.process || here.exit || here.bootId !== this.#bootId) return;
    here.process.toMs = schedule.nowMs;
    here.process.code = code;
    here.exit = { code, termBefore: here.termSent, timedOut: false, fenced: how.fenced ?? false };
    const life = this.#life;
    schedule.after(this.#ends.chance.between(1, 30), () => {
      if (life !== this.#life || here.told || !this.up || !here.exit) return;
      here.told = true;
      this.feed({
        kind: "ended",
        attempt,
        exit: { read: "code", code },
        termBefore: here.exit.termBefore,
        timedOut: false,
        fenced: here.exit.fenced,
        result: { kind: "none" },
        endedWall: this.#now().wall,
      });
    });
  }
}
