/** An agent core with a journal in memory and a hand on its clock: what every test of the core steps. */
import { createAgent, nextDue, step, type AgentState } from "../../../worker/agent/agent.ts";
import type { LedgerEntry } from "../../../worker/agent/records.ts";
import type { AgentAction, AgentInput, AgentOptions, AgentStep, Found } from "../../../worker/agent/types.ts";
import { journalId, MemoryJournal } from "./memory-journal.ts";
import { end } from "../../../schema/end.ts";
import {
  commandsEnvelope,
  downItem,
  heartbeat,
  hello,
  report,
  reportsEnvelope,
  status,
  type DownItem,
  type Report,
  type StartItem,
} from "../../../schema/messages.ts";

export const heartbeatMs = 10_000;
export const startTtlMs = 35_000;

export interface AgentSetup {
  readonly options?: Partial<AgentOptions>;
  readonly journal?: MemoryJournal;
  readonly mono?: number;
}

/** One life of an agent. Every step is written to the journal, and everything it publishes must parse at the manager's door. */
export class TestAgent {
  readonly journal: MemoryJournal;
  readonly state: AgentState;
  readonly epoch: string;
  readonly options: AgentOptions;
  mono: number;
  wall = 1_700_000_000_000;
  connection = 0;
  term = 1;
  actions: readonly AgentAction[] = [];
  /** The last step's writes. */
  writes: AgentStep["journal"] = [];

  constructor(setup: AgentSetup = {}) {
    this.journal = setup.journal ?? new MemoryJournal();
    this.journal.open();
    this.mono = setup.mono ?? 1_000_000;
    const { journal, n } = this.journal.meta;
    this.epoch = `${journal}.${n}.nonce${String(n).padStart(7, "0")}`;
    this.options = { ...defaults, epoch: this.epoch, ...setup.options };
    this.state = createAgent(
      this.options,
      { meta: this.journal.meta, entries: [...this.journal.entries.values()], reports: [...this.journal.reports.values()] },
      this.now(),
    );
  }

  now(): { readonly mono: number; readonly wall: number } {
    return { mono: this.mono, wall: this.wall };
  }

  put(input: AgentInput): readonly AgentAction[] {
    const made = step(this.state, input, this.now());
    this.writes = made.journal;
    if (made.canWait) made.journal.forEach((write) => this.#checkWait(write));
    this.journal.write(made.journal);
    for (const action of made.actions) this.#check(action);
    this.actions = made.actions;
    return made.actions;
  }

  /** Lets `ms` pass, with a tick at every instant at which the core asks for one. */
  pass(ms: number): readonly AgentAction[] {
    const until = this.mono + ms;
    const all: AgentAction[] = [];
    while (this.mono < until) {
      const due = nextDue(this.state) ?? until;
      all.push(...this.jump(Math.min(until, Math.max(due, this.mono + 1)) - this.mono));
    }
    this.actions = all;
    return all;
  }

  /** A tick `ms` from now with nothing before it: this agent was away. */
  jump(ms: number): readonly AgentAction[] {
    this.mono += ms;
    this.wall += ms;
    return this.tick();
  }

  tick(): readonly AgentAction[] {
    return this.put({ kind: "tick", load: { cpu: 0.5, memoryMb: 100 }, spoolBytes: 7 });
  }

  recover(found: readonly Found[] = []): readonly AgentAction[] {
    return this.put({ kind: "recovered", found });
  }

  connect(): readonly AgentAction[] {
    this.connection += 1;
    return this.put({ kind: "connected", connection: this.connection });
  }

  /** Connected, and its hello answered. */
  connectAndSync(): this {
    this.connect();
    this.say({ kind: "sync", epoch: this.epoch, connection: this.connection });
    return this;
  }

  /** Commands of the present leader, with the newest echo unless told otherwise. */
  say(
    items: DownItem | readonly DownItem[],
    envelope: { readonly term?: number; readonly epoch?: string; readonly mono?: number } = {},
  ): readonly AgentAction[] {
    const list = Array.isArray(items) ? (items as readonly DownItem[]) : [items as DownItem];
    for (const item of list) downItem.parse(item);
    const message = {
      v: 1 as const,
      term: envelope.term ?? this.term,
      asOf: { epoch: envelope.epoch ?? this.epoch, mono: envelope.mono ?? this.mono },
      items: list,
    };
    commandsEnvelope.parse(message);
    return this.put({ kind: "commands", message });
  }

  start(
    attempt: string,
    more: Partial<StartItem> = {},
    envelope: { readonly term?: number; readonly epoch?: string; readonly mono?: number } = {},
  ): readonly AgentAction[] {
    return this.say(startOf(attempt, more), envelope);
  }

  /** Started, and its process told of. */
  run(attempt: string, more: Partial<StartItem> = {}): this {
    this.start(attempt, more);
    this.started(attempt);
    return this;
  }

  started(attempt: string, pid = 4_000): readonly AgentAction[] {
    return this.put({ kind: "started", attempt, process: { bootId: "boot-1", pid, startTicks: 99 }, startedWall: this.wall });
  }

  ended(attempt: string, more: Partial<Extract<AgentInput, { kind: "ended" }>> = {}): readonly AgentAction[] {
    return this.put({
      kind: "ended",
      attempt,
      exit: { read: "code", code: 0 },
      termBefore: false,
      timedOut: false,
      fenced: false,
      result: { kind: "none" },
      endedWall: this.wall,
      ...more,
    });
  }

  ack(seq = this.state.nextSeq - 1): readonly AgentAction[] {
    return this.say({ kind: "ack", journal: journalId, seq });
  }

  /** The next life on the same journal, some time later. */
  restart(more: { readonly options?: Partial<AgentOptions>; readonly afterMs?: number } = {}): TestAgent {
    const next = new TestAgent({ journal: this.journal, mono: this.mono + (more.afterMs ?? 1_000), options: more.options ?? {} });
    next.wall = this.wall + (more.afterMs ?? 1_000);
    return next;
  }

  entry(attempt: string): LedgerEntry | undefined {
    return this.journal.entries.get(attempt);
  }

  endOf(attempt: string): LedgerEntry["end"] | undefined {
    return this.entry(attempt)?.end;
  }

  /** Only acknowledgements may be acted on before they are durable. */
  #checkWait(write: AgentStep["journal"][number]): void {
    if (write.write === "acked" || write.write === "forget") return;
    if (write.write !== "meta" || (write.set.highestTerm ?? 0) > this.journal.meta.highestTerm)
      throw new Error(`a step that writes ${JSON.stringify(write)} is acted on before it is durable`);
  }

  #check(action: AgentAction): void {
    if (action.action === "launch") {
      const entry = this.entry(action.order.attempt);
      if (entry?.state !== "launching") throw new Error(`launched with ${entry?.state ?? "nothing"} in the journal (rule 23)`);
    }
    if (action.action !== "publish") return;
    if (Buffer.byteLength(JSON.stringify(action.message)) > 65_536) throw new Error(`a ${action.what} of more than 64 KiB`);
    switch (action.what) {
      case "hello":
        hello.parse(action.message);
        break;
      case "heartbeat":
        heartbeat.parse(action.message);
        break;
      case "status":
        status.parse(action.message);
        break;
      case "reports":
        reportsEnvelope.parse(action.message);
        for (const item of action.message.items) this.#checkReport(item);
        break;
    }
  }

  #checkReport(item: Report): void {
    report.parse(item);
    if (item.end) end.parse(item.end);
    const stored = this.journal.reports.get(item.seq);
    if (!stored) throw new Error(`report ${item.seq} was published and is not in the journal`);
    const body: unknown = JSON.parse(stored.body);
    const { seq: _, ...rest } = item;
    if (JSON.stringify(body) !== JSON.stringify(rest)) throw new Error(`report ${item.seq} is not what the journal holds`);
  }
}

const defaults: AgentOptions = {
  epoch: "",
  facts: {
    os: "linux",
    osVersion: "6",
    arch: "x64",
    hostname: "h",
    cpus: 8,
    memoryMb: 1_000,
    interpreters: {},
    drivers: ["exec", "script"],
    agentVersion: "0",
    nodeVersion: "24",
    bootId: "boot-1",
  },
  labels: { zone: "a" },
  capacity: { slots: 2, memoryMb: 1_000, cpus: 8 },
  survives: true,
  http: true,
  fences: true,
  gatherMs: 0,
  settings: { heartbeatMs, startTtlMs, workerLostMs: 75_000 },
};

/** A start as the manager sends it. */
export function startOf(attempt: string, more: Partial<StartItem> = {}): StartItem {
  return {
    kind: "start",
    attempt,
    run: `run-${attempt}`,
    number: 1,
    task: "task1",
    version: 1,
    driver: "exec",
    spec: { driver: "exec", program: "/bin/true" },
    env: { SECRET: "hush" },
    timeoutSeconds: null,
    killGraceSeconds: 10,
    onLost: "wait",
    requires: { slots: 1, memoryMb: 0, cpus: 0 },
    limits: { logStreamBytes: 1_000, resultBytes: 1_000 },
    trace: "",
    ttlMs: startTtlMs,
    ...more,
  };
}

/** The actions of one kind, typed. */
export function only<K extends AgentAction["action"]>(
  actions: readonly AgentAction[],
  kind: K,
): readonly Extract<AgentAction, { action: K }>[] {
  return actions.filter((action): action is Extract<AgentAction, { action: K }> => action.action === kind);
}

/** Ids of the attempts that were launched. */
export function launched(actions: readonly AgentAction[]): readonly string[] {
  return only(actions, "launch").map((action) => action.order.attempt);
}

/** What was published of one kind. */
export function published<W extends Extract<AgentAction, { action: "publish" }>["what"]>(
  actions: readonly AgentAction[],
  what: W,
): readonly Extract<AgentAction, { action: "publish"; what: W }>["message"][] {
  return actions.flatMap((action) => (action.action === "publish" && action.what === what ? [action.message as never] : []));
}

/** The reports that were published, in order. */
export function reported(actions: readonly AgentAction[]): readonly Report[] {
  return published(actions, "reports").flatMap((message) => message.items);
}

/** The words of the notes. */
export function notes(actions: readonly AgentAction[]): readonly string[] {
  return only(actions, "note").map((action) => action.what);
}
