import type { UplinkKind } from "../../../schema/topics.ts";
import type { JournalWrite, LedgerEntry } from "../../../worker/agent/records.ts";
import type { AgentAction, AgentInput, AgentOptions, Deadlines, Found } from "../../../worker/agent/types.ts";
import { copyGraph, freezeGraph } from "./graph.ts";
import type { Parts } from "./parts.ts";
import { workerIds, workerNow, type HostProcess, type WorkerPart, type World } from "./world.ts";

/** What a worker's action leads to outside of it. */
export interface WorkerNews {
  readonly uplinks: { readonly kind: UplinkKind; readonly message: unknown }[];
  readonly begun: HostProcess[];
  /** Attempts whose process was told to end, and why it was, as the agent sees it. */
  readonly termed: string[];
}

export interface WorkerTiming {
  readonly heartbeatMs: number;
  readonly startTtlMs: number;
  readonly workerLostMs: number;
}

const load = { cpu: 0, memoryMb: 0 };
const slots = 2;

/** The worker's shell in the exploration: the real core, a journal that is durable at once, processes that only pretend. */
export class WorkerShell {
  readonly #parts: Parts;
  readonly #timing: WorkerTiming;

  constructor(parts: Parts, timing: WorkerTiming) {
    this.#parts = parts;
    this.#timing = timing;
  }

  /** A worker that was never started. */
  fresh(at: number): WorkerPart {
    const journal = `journal${at + 1}`.padEnd(12, "_");
    return {
      agent: null,
      meta: { journal, n: 0, highestTerm: 0, highestAck: 0, nextSeq: 1 },
      entries: new Map(),
      reports: new Map(),
      epoch: "",
      connection: 0,
      connected: false,
      boots: 1,
      processes: new Map(),
      stops: new Set(),
      told: [],
    };
  }

  copy(part: WorkerPart): WorkerPart {
    const { agent, entries, reports, processes, stops, told } = part;
    return {
      ...part,
      agent: agent && copyGraph(agent),
      entries: new Map(entries),
      reports: new Map(reports),
      processes: new Map([...processes].map(([id, process]) => [id, { ...process }])),
      stops: new Set(stops),
      told: [...told],
    };
  }

  isDue(world: World, at: number): boolean {
    const { agent } = world.workers[at] as WorkerPart;
    if (!agent) return false;
    const due = this.#parts.agent.nextDue(agent);
    return due !== null && due <= workerNow(at, world.nowMs).mono;
  }

  start(part: WorkerPart, at: number, nowMs: number): WorkerNews {
    const now = workerNow(at, nowMs);
    part.meta = { ...part.meta, n: part.meta.n + 1 };
    part.epoch = `${part.meta.journal}.${part.meta.n}.${`nonce${part.meta.n}`.padEnd(12, "_")}`;
    part.connection = 0;
    const entries = [...part.entries.values()];
    const options = freezeGraph(this.#optionsOf(part, at));
    part.agent = this.#parts.agent.createAgent(options, { meta: part.meta, entries, reports: [...part.reports.values()] }, now);
    const found = entries
      .filter((entry) => entry.state !== "ended" && entry.state !== "accepted")
      .map((entry) => look(part, at, entry));
    return this.feed(part, { kind: "recovered", found }, at, nowMs);
  }

  connect(part: WorkerPart, at: number, nowMs: number): WorkerNews {
    part.connected = true;
    part.connection += 1;
    return this.feed(part, { kind: "connected", connection: part.connection }, at, nowMs);
  }

  cut(part: WorkerPart, at: number, nowMs: number): WorkerNews {
    const will = this.#parts.agent.willOf(part.epoch, part.connection);
    part.connected = false;
    const news = this.feed(part, { kind: "disconnected" }, at, nowMs);
    news.uplinks.push({ kind: "status", message: will });
    return news;
  }

  /** kill -9 of the agent: its processes go on. */
  die(part: WorkerPart): WorkerNews {
    const news: WorkerNews = { uplinks: [], begun: [], termed: [] };
    if (part.connected) news.uplinks.push({ kind: "status", message: this.#parts.agent.willOf(part.epoch, part.connection) });
    part.agent = null;
    part.connected = false;
    part.told.length = 0;
    return news;
  }

  reboot(part: WorkerPart): WorkerNews {
    const news = this.die(part);
    for (const process of part.processes.values()) process.over = true;
    part.boots += 1;
    return news;
  }

  tick(part: WorkerPart, at: number, nowMs: number): WorkerNews {
    return this.feed(part, { kind: "tick", load, spoolBytes: 0 }, at, nowMs);
  }

  /** One input, and all that follows from it on this host at once. `diesAfterJournal`: what it decided is written, and not done. */
  feed(part: WorkerPart, input: AgentInput, at: number, nowMs: number, diesAfterJournal = false): WorkerNews {
    const news: WorkerNews = { uplinks: [], begun: [], termed: [] };
    const waiting: AgentInput[] = [input];
    if (input.kind === "commands") for (const item of input.message.items) if (item.kind === "stop") part.stops.add(item.attempt);
    for (let next = waiting.shift(); next && part.agent; next = waiting.shift()) {
      const step = this.#parts.agent.step(part.agent, next, workerNow(at, nowMs));
      write(part, step.journal);
      if (diesAfterJournal) return this.die(part);
      for (const action of step.actions) this.#act(part, at, action, { news, waiting });
    }
    return news;
  }

  /** The process comes to its own end. The agent, if there is one, is told at once. */
  exit(part: WorkerPart, attempt: string, at: number, nowMs: number): WorkerNews {
    const process = part.processes.get(attempt) as HostProcess;
    return this.feed(part, ended(process, 0), at, nowMs);
  }

  /** The watchdog's look at the clock: it needs no agent. The agent hears of it when it is awake. */
  watchdog(part: WorkerPart, at: number, nowMs: number): boolean {
    const { mono } = workerNow(at, nowMs);
    let acted = false;
    for (const process of part.processes.values()) {
      if (process.over || process.deadlines.fenceMono === null || process.deadlines.fenceMono > mono) continue;
      process.fenced = true;
      const input = ended(process, 137);
      if (part.agent) part.told.push(input);
      acted = true;
    }
    return acted;
  }

  #act(
    part: WorkerPart,
    at: number,
    action: AgentAction,
    out: { readonly news: WorkerNews; readonly waiting: AgentInput[] },
  ): void {
    switch (action.action) {
      case "publish":
        if (part.connected) out.news.uplinks.push({ kind: action.what, message: action.message });
        return;
      case "launch": {
        const process = begin(action, bootOf(part, at));
        part.processes.set(process.attempt, process);
        out.news.begun.push(process);
        const id = { bootId: process.bootId, pid: 100, startTicks: 1 };
        out.waiting.push({ kind: "started", attempt: process.attempt, process: id, startedWall: 1_700_000_000_000 });
        return;
      }
      case "terminate":
      case "kill": {
        const process = part.processes.get(action.attempt);
        if (!process || process.over) return;
        process.termed = true;
        out.news.termed.push(action.attempt);
        out.waiting.push(ended(process, 143));
        return;
      }
      case "deadlines": {
        const process = part.processes.get(action.attempt);
        if (process) process.deadlines = action.deadlines;
        return;
      }
      case "disconnect":
        // It is sent away and stays away: what it may do later is another life's.
        out.news.uplinks.push(...this.die(part).uplinks);
        return;
      case "signal":
      case "fetchBody":
      case "logsAck":
      case "logsAgain":
      case "settled":
      case "note":
        return;
    }
  }

  #optionsOf(part: WorkerPart, at: number): AgentOptions {
    const facts = {
      os: "linux",
      osVersion: "",
      arch: "x64",
      hostname: workerIds[at] as string,
      cpus: 1,
      memoryMb: 1_000,
      interpreters: { sh: "1" },
      drivers: ["exec", "script"],
      agentVersion: "0",
      nodeVersion: "",
      bootId: bootOf(part, at),
    };
    return {
      epoch: part.epoch,
      facts,
      labels: {},
      capacity: { slots, memoryMb: 1_000, cpus: 2 },
      survives: true,
      http: false,
      fences: true,
      gatherMs: 0,
      settings: { ...this.#timing },
    };
  }
}

function bootOf(part: WorkerPart, at: number): string {
  return `boot-${workerIds[at] ?? ""}-${part.boots}`;
}

function begin(
  { order, deadlines }: { readonly order: { readonly attempt: string; readonly run: string }; readonly deadlines: Deadlines },
  bootId: string,
): HostProcess {
  return { attempt: order.attempt, run: order.run, bootId, over: false, code: null, termed: false, fenced: false, deadlines };
}

function ended(process: HostProcess, code: number): AgentInput {
  process.over = true;
  process.code = code;
  return {
    kind: "ended",
    attempt: process.attempt,
    exit: { read: "code", code },
    termBefore: process.termed,
    timedOut: false,
    fenced: process.fenced,
    result: { kind: "none" },
    endedWall: 1_700_000_000_000,
  };
}

/** What a restarted agent finds of an attempt that its journal says was launched. */
function look(part: WorkerPart, at: number, entry: LedgerEntry): Found {
  const { attempt } = entry;
  const process = part.processes.get(attempt);
  if (entry.launchBootId !== bootOf(part, at) && (process?.code ?? null) === null) return { attempt, found: "rebooted" };
  if (!process) return { attempt, found: "neverStarted" };
  const id = { bootId: process.bootId, pid: 100, startTicks: 1 };
  const startedWall = 1_700_000_000_000;
  if (!process.over) return { attempt, found: "alive", process: id, startedWall };
  const marks = { termBefore: process.termed, timedOut: false, fenced: process.fenced };
  const exit = { read: "code" as const, code: process.code ?? 0 };
  return { attempt, found: "exited", exit, result: { kind: "none" }, process: id, startedWall, ...marks };
}

function write(part: WorkerPart, writes: readonly JournalWrite[]): void {
  for (const each of writes) {
    switch (each.write) {
      case "meta":
        part.meta = { ...part.meta, ...each.set };
        break;
      case "entry":
        part.entries.set(each.entry.attempt, freezeGraph(each.entry));
        break;
      case "report":
        part.reports.set(each.report.seq, freezeGraph(each.report));
        part.meta = { ...part.meta, nextSeq: Math.max(part.meta.nextSeq, each.report.seq + 1) };
        break;
      case "acked":
        for (const seq of part.reports.keys()) if (seq <= each.seq) part.reports.delete(seq);
        break;
      case "forget":
        for (const attempt of each.attempts) part.entries.delete(attempt);
        break;
      case "unheard":
        part.meta = { ...part.meta, unheardSeq: each.seq };
        break;
    }
  }
}
