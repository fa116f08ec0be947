/**
 * The worker's loop around its pure core: takes every input that waits, steps each, makes what they wrote durable in one
 * transaction, and then does what they want, in order.
 */
import type { AgentAction, AgentInput, AgentStep } from "./agent/types.ts";
import type { DurableJournal } from "./agent/held-hello.ts";
import type { JournalWrite } from "./agent/records.ts";
import { createInbox, type Inbox, type Waiting } from "./inbox.ts";
import { readCommands } from "./door.ts";
import type { ShellTracing } from "./telemetry/tracing.ts";
import { writeFirst, type WriteFirst } from "./write-first.ts";
import { processClock, type Clock } from "../schema/kit/clock.ts";
import { reached } from "../schema/kit/failpoint.ts";
import type { Log } from "../schema/kit/log.ts";
import { Service } from "../schema/kit/service.ts";
import { timing, workerLimits } from "../schema/limits.ts";
import type { Commands, DownItem } from "../schema/messages.ts";
import type { Load } from "../schema/worker.ts";
import type { Now } from "../schema/given.ts";

export interface ShellDeps {
  readonly core: {
    step(input: AgentInput, now: Now): AgentStep;
    /** Mono ms at which the core needs a tick; null: not by itself. */
    nextDue(): number | null;
  };
  /** `room`: whether it holds its reserve (rule 26). */
  readonly journal: { write(writes: readonly JournalWrite[]): void; durable(): DurableJournal; readonly room: boolean };
  /** Does one action; must return at once and not throw. */
  readonly act: (action: AgentAction) => void;
  /** What a tick tells the core. */
  readonly measure: () => { readonly load: Load; readonly spoolBytes: number };
  /** The host's boot-time clock. */
  readonly clock: Clock;
  readonly log: Log;
  /** Absent: no spans are made. */
  readonly tracing?: ShellTracing | undefined;
}

/** One message from the network, as its log line tells of it. */
interface Handled {
  readonly commands: Commands | null;
  readonly outcome: string;
}

export class Shell extends Service {
  readonly name = "worker shell";
  /** How often something came that was not obeyed, by what it was. */
  readonly counts: Record<string, number> = {};
  readonly #deps: ShellDeps;
  readonly #inbox: Inbox;
  readonly #out: WriteFirst;
  #wake: (() => void) | undefined;
  #tickedMono: number | null = null;
  #settledMono = 0;
  #room = true;
  #emptied: (() => void)[] = [];

  constructor(deps: ShellDeps) {
    super();
    this.#deps = deps;
    this.#inbox = createInbox(() => this.#wake?.());
    this.#out = writeFirst(deps);
  }

  /** Why the journal cannot be written; null while it can. */
  get journalFull(): string | null {
    return this.#out.full;
  }

  /** An event of this host. */
  put(input: AgentInput): void {
    this.#inbox.put(input);
  }

  /** Puts an input and resolves once it was stepped and its actions were done (or wait for a full journal). */
  handled(input: AgentInput): Promise<void> {
    return new Promise((resolve) => {
      this.#emptied.push(resolve);
      this.put(input);
    });
  }

  /** A message of the network; only noted here, read in the shell's own turn. */
  offer(payload: Uint8Array): void {
    if (!this.#inbox.offer(payload)) this.#count("dropped: inbox full");
  }

  /** One round: everything that waits, up to a bound. */
  once(): void {
    const { clock, core } = this.#deps;
    const began = processClock.now().mono;
    const now = clock.now();
    const wasFull = this.#out.full;
    this.#out.retry();
    const steps: AgentStep[] = [];
    // The tick goes first: after a suspend the core must know of the gap before it reads a command (rule 6).
    if (this.#tickDue(now)) {
      this.#tickedMono = now.mono;
      steps.push(core.step({ kind: "tick", ...this.#deps.measure() }, now));
    }
    this.#tellRoom(steps, now);
    const handled: Handled[] = [];
    for (const waiting of this.#inbox.take(workerLimits.batchInputs)) {
      const input = this.#read(waiting, handled);
      if (input) steps.push(core.step(input, now));
    }
    const { tracing } = this.#deps;
    const steppedMs = tracing ? processClock.now().mono : 0;
    reached("s14", steps);
    this.#out.commit(steps);
    if (now.mono - this.#settledMono >= timing.workerTickMs) {
      this.#settledMono = now.mono;
      this.#out.settle();
    }
    tracing?.written(steps, steppedMs);
    this.#tellJournal(wasFull);
    const durationMs = Math.round((processClock.now().mono - began) * 1_000) / 1_000;
    for (const one of handled) this.#tell(one, durationMs);
    if (this.#inbox.size > 0) return;
    const emptied = this.#emptied;
    this.#emptied = [];
    for (const resolve of emptied) resolve();
  }

  protected async loop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#somethingToDo(signal);
      if (!signal.aborted) this.once();
    }
    this.#out.settle();
  }

  #read(waiting: Waiting, handled: Handled[]): AgentInput | undefined {
    if (waiting.from === "host") return waiting.input;
    const read = readCommands(waiting.payload);
    switch (read.read) {
      case "future":
        this.#count("future version");
        handled.push({ commands: null, outcome: `speaks version ${read.version} of the protocol, which this worker does not` });
        return undefined;
      case "unreadable":
        this.#count("unreadable message");
        handled.push({ commands: null, outcome: `unreadable: ${read.why}` });
        return undefined;
      case "commands":
        for (const why of read.unreadable) {
          this.#count("unreadable item");
          this.#deps.log.warn({ why }, "an item of a command was unreadable and is set aside");
        }
        reached("s06", read.message.items);
        return this.#commands(this.#deps.tracing?.received(read.message) ?? read.message, handled);
    }
  }

  /** While the journal is full a start can be neither accepted nor refused durably: it is passed over, and comes again. */
  #commands(message: Commands, handled: Handled[]): AgentInput {
    if (this.#out.full === null) {
      handled.push({ commands: message, outcome: "handled" });
      return { kind: "commands", message };
    }
    const items = message.items.filter((item) => item.kind !== "start");
    const starts = message.items.length - items.length;
    if (starts > 0) this.#count("dropped: journal full", starts);
    handled.push({ commands: message, outcome: starts > 0 ? `${starts} starts passed over: ${this.#out.full}` : "handled" });
    return { kind: "commands", message: { ...message, items } };
  }

  /** Without its reserve the journal still takes ends; the core refuses starts until there is room again. */
  #tellRoom(steps: AgentStep[], now: Now): void {
    const { room } = this.#deps.journal;
    if (room === this.#room) return;
    this.#room = room;
    steps.push(this.#deps.core.step({ kind: "room", room }, now));
    if (room) this.#deps.log.info("the disk has room again: starts are taken");
    else this.#deps.log.warn("the disk is nearly full: starts are refused, ends are still written");
  }

  #tickDue(now: Now): boolean {
    if (this.#tickedMono === null || now.mono - this.#tickedMono >= timing.workerTickMs) return true;
    const due = this.#deps.core.nextDue();
    return due !== null && due <= now.mono;
  }

  /** Resolves in a later turn of the event loop, so that all that arrived in this one shares a journal write. */
  #somethingToDo(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.#wake = undefined;
        setImmediate(resolve);
      };
      this.#wake = done;
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted || this.#inbox.size > 0) done();
      else timer = setTimeout(done, this.#msToTick());
    });
  }

  #msToTick(): number {
    const { mono } = this.#deps.clock.now();
    const latest = (this.#tickedMono ?? mono - timing.workerTickMs) + timing.workerTickMs;
    // The boot-time clock has steps of 10 ms: a timer of less would spin until the step comes.
    return Math.max(5, Math.min(latest, this.#deps.core.nextDue() ?? latest) - mono);
  }

  #count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by;
  }

  #tellJournal(before: string | null): void {
    const after = this.#out.full;
    if (before === null && after !== null)
      this.#deps.log.error(
        { why: after },
        "the journal has no room: starts are passed over, ends are kept in memory and tried again",
      );
    if (before !== null && after === null) this.#deps.log.info("the journal has room again");
  }

  #tell(handled: Handled, durationMs: number): void {
    const { log } = this.#deps;
    if (!handled.commands) {
      log.warn({ durationMs, outcome: handled.outcome }, "a message was set aside");
      return;
    }
    const line = { ...summaryOf(handled.commands.items), term: handled.commands.term, durationMs, outcome: handled.outcome };
    if (handled.commands.items.every((item) => item.kind === "ack" || item.kind === "logsAck")) log.debug(line, "acks handled");
    else log.info(line, "commands handled");
  }
}

/** How many items of each kind, and the attempts they are about (at most twenty of them). */
function summaryOf(items: readonly DownItem[]): {
  readonly kinds: Readonly<Record<string, number>>;
  readonly attemptIds: readonly string[];
} {
  const kinds: Record<string, number> = {};
  const attemptIds: string[] = [];
  for (const item of items) {
    kinds[item.kind] = (kinds[item.kind] ?? 0) + 1;
    if ("attempt" in item && attemptIds.length < 20) attemptIds.push(item.attempt);
  }
  return { kinds, attemptIds };
}
