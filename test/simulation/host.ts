import type { LedgerEntry } from "../../worker/agent/records.ts";
import type { Deadlines, ExitRecord, Found, ResultFound } from "../../worker/agent/types.ts";
import type { LaunchOrder, ProcessListener } from "../../worker/process/host.ts";
import type { Counters } from "./counters.ts";
import { SimOutput } from "./output.ts";
import { marksOf, type HostAttempt } from "./host-attempt.ts";
import type { Schedule } from "./schedule.ts";
import type { Chance } from "./seeded.ts";
import type { Trace } from "./trace.ts";
import type { Witness, Witnessed } from "./witness.ts";

export interface HostEnds {
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly witness: Witness;
  readonly counters: Counters;
  readonly trace: Trace;
  readonly worker: string;
  readonly slots: number;
}

const watchdogTickMs = 2_000;

/** A worker's host: processes that only pretend, files that outlive the agent, a watchdog, and a lid that can be closed. */
export class SimHost {
  readonly #ends: HostEnds;
  readonly #attempts = new Map<string, HostAttempt>();
  #bootedAtMs: number;
  #boots = 1;
  #pids = 100;
  /** What waits for the host to wake. */
  #asleep: (() => void)[] | undefined;
  #sleep = { fromMs: 0, toMs: 0, frozen: false };
  /** The agent that lives; null while there is none. */
  listener: ProcessListener | null = null;
  /** Told when the watchdog's fence ends a process. */
  onFence: (attempt: string) => void = () => undefined;
  /** The disk is full for new attempts. */
  noRoom = false;
  wallOffMs = 0;
  /** How long its boot-time clock stood still: only a machine that its hypervisor paused has that. */
  #frozenMs = 0;
  readonly output: SimOutput;

  constructor(ends: HostEnds) {
    this.#ends = ends;
    this.#bootedAtMs = ends.schedule.nowMs - 50_000;
    this.output = new SimOutput({ nowMs: () => ends.schedule.nowMs, counters: ends.counters });
  }

  get name(): string {
    return this.#ends.worker;
  }

  get bootId(): string {
    return `boot-${this.#ends.worker}-${this.#boots}`;
  }

  /** The last time that it slept; before the first, an instant. */
  get lastSleep(): { readonly fromMs: number; readonly toMs: number; readonly frozen: boolean } {
    return this.#sleep;
  }

  now(): { readonly mono: number; readonly wall: number } {
    const { nowMs } = this.#ends.schedule;
    return { mono: nowMs - this.#bootedAtMs - this.#frozenMs, wall: 1_700_000_000_000 + nowMs + this.wallOffMs };
  }

  /** Does it now, or when the host wakes. */
  awake(act: () => void): void {
    if (this.#asleep) this.#asleep.push(act);
    else act();
  }

  /** After `delayMs` of the world's time, unless the host has gone down by then. */
  later(delayMs: number, act: () => void): void {
    const boots = this.#boots;
    this.#ends.schedule.after(delayMs, () => this.awake(() => boots === this.#boots && act()));
  }

  /**
   * Nothing runs on it for so long. Its boot-time clock goes on (rule 6), unless it is its hypervisor that paused it: then it
   * does not know.
   */
  suspend(forMs: number, frozen = false): void {
    if (this.#asleep) return;
    this.#asleep = [];
    const { nowMs } = this.#ends.schedule;
    this.#sleep = { fromMs: nowMs, toMs: nowMs + forMs, frozen };
    const sleep = this.#sleep;
    for (const { process } of this.#attempts.values()) if (process?.toMs === null) process.sleptMs += forMs;
    this.#ends.schedule.after(forMs, () => {
      if (sleep !== this.#sleep) return;
      if (frozen) this.#frozenMs += forMs;
      this.#wake();
    });
  }

  #wake(): void {
    const held = this.#asleep ?? [];
    this.#asleep = undefined;
    for (const act of held) act();
  }

  /** Down with everything on it, and up again with another boot id. */
  reboot(): void {
    const { schedule, witness } = this.#ends;
    for (const { process } of this.#attempts.values())
      if (process && process.toMs === null) witness.ends(process, { code: null, by: "host" }, schedule.nowMs);
    this.#boots += 1;
    this.#bootedAtMs = schedule.nowMs;
    this.#sleep = { fromMs: 0, toMs: 0, frozen: false };
    this.#frozenMs = 0;
    this.#wake();
  }

  /** What a restarted agent finds of the attempts that its journal says were launched and have not ended. */
  lookAt(entries: readonly LedgerEntry[]): Found[] {
    return entries.filter(({ state }) => state !== "ended" && state !== "accepted").map((entry) => this.#look(entry));
  }

  #look(entry: LedgerEntry): Found {
    const { attempt } = entry;
    const here = this.#attempts.get(attempt) ?? this.#fresh(attempt, false);
    // What the shim wrote last may not have reached the disk when the host went down.
    if (entry.launchBootId !== null && entry.launchBootId !== this.bootId && (!here.exit || this.#ends.chance.happens(0.5))) {
      this.#ends.counters.happened("an attempt was lost by a reboot");
      return { attempt, found: "rebooted" };
    }
    this.#attempts.set(attempt, here);
    if (here.started !== "yes") {
      here.started = "void";
      return { attempt, found: "neverStarted" };
    }
    here.told = here.failed || here.exit !== undefined;
    if (here.failed) return { attempt, found: "failedToStart", why: "no such program" };
    const process = { bootId: here.bootId, pid: here.pid, startTicks: here.pid };
    const { startedWall, exit } = here;
    if (!exit) return { attempt, found: "alive", process, startedWall };
    return { attempt, found: "exited", exit: exit.record, result: exit.result, process, startedWall, ...marksOf(here) };
  }

  #fresh(attempt: string, deaf: boolean): HostAttempt {
    return {
      attempt,
      bootId: this.bootId,
      started: "no",
      process: undefined,
      pid: 0,
      startedWall: 0,
      failed: false,
      exit: undefined,
      told: false,
      term: null,
      deaf,
      deadlines: { timeoutMono: null, fenceMono: null, graceMs: 0 },
      launchedMs: this.#ends.schedule.nowMs,
    };
  }

  /** The process begins a little later, unless `started` is void by then; now and then there is no room for it. */
  launch(order: LaunchOrder): void {
    const { chance } = this.#ends;
    const here = this.#fresh(order.attempt, order.env["PARAM_deaf"] === "yes");
    this.#attempts.set(order.attempt, here);
    if (this.noRoom) return this.#callOff(here, "the worker's disk is full");
    this.setDeadlines(order.attempt, order.deadlines);
    this.later(chance.between(1, 40), () => {
      if (here.started === "no") this.#begin(here, order);
    });
  }

  #begin(here: HostAttempt, order: LaunchOrder): void {
    const { schedule, chance, witness, worker, slots } = this.#ends;
    const { attempt, env } = order;
    here.started = "yes";
    here.pid = ++this.#pids;
    here.startedWall = this.now().wall;
    const process = { bootId: here.bootId, pid: here.pid, startTicks: here.pid };
    this.listener?.started({ attempt, process, startedWall: here.startedWall });
    if (env["PARAM_exec"] === "no") {
      this.later(chance.between(1, 20), () => {
        here.failed = true;
        this.#tell(here, (told) => told.notStarted({ attempt, how: "failedToStart", why: "no such program" }));
      });
      return;
    }
    this.#ends.trace.hash(`${attempt} runs on ${worker}`);
    this.#ends.trace.tell(() => `process of ${attempt} begins on ${worker}`);
    here.process = witness.begins({ attempt, run: order.run, launchedMs: here.launchedMs }, { worker, slots }, schedule.nowMs);
    const code = Number(env["PARAM_code"]);
    this.output.writes(attempt, Number(env["PARAM_output"]));
    this.later(Number(env["PARAM_ms"]), () =>
      this.#end(
        here,
        { code, by: "itself" },
        { kind: "inline", json: JSON.stringify(`${order.run} ${order.env["PARAM_result"]}`) },
      ),
    );
  }

  /** TERM, once: whoever makes the mark sends it. */
  terminate(attempt: string): void {
    const here = this.#attempts.get(attempt);
    if (!here) return;
    if (here.started === "no" && this.#ends.chance.happens(0.5)) this.#callOff(here, "it was stopped before it was launched");
    else this.#term(here, "agent");
  }

  kill(attempt: string): void {
    const here = this.#attempts.get(attempt);
    if (!here) return;
    if (here.started === "no") return this.#callOff(here, "it was stopped before it was launched");
    if (here.process?.toMs === null) here.term ??= "agent";
    this.#end(here, { code: 137, by: "kill" });
  }

  signal(attempt: string, signal: string): void {
    const here = this.#attempts.get(attempt);
    if (!here?.process || here.deaf) return;
    this.later(this.#ends.chance.between(1, 30), () => this.#end(here, { code: 138, by: "signal", signal }));
  }

  setDeadlines(attempt: string, deadlines: Deadlines): void {
    const here = this.#attempts.get(attempt);
    if (!here) return;
    here.deadlines = deadlines;
    if (deadlines.timeoutMono !== null) this.#watch(here, "timedOut", deadlines.timeoutMono);
    if (deadlines.fenceMono !== null) this.#watch(here, "fenced", deadlines.fenceMono);
  }

  /** The watchdog ticks every 2 s and outlives the agent (rule 9). */
  #watch(
    here: HostAttempt,
    why: "timedOut" | "fenced",
    dueMono: number,
    lateMs = this.#ends.chance.between(0, watchdogTickMs),
  ): void {
    this.later(dueMono - this.now().mono + lateMs, () => {
      const due = why === "timedOut" ? here.deadlines.timeoutMono : here.deadlines.fenceMono;
      if (due === null || here.exit || here.failed || here.started === "void") return;
      // A paused machine wakes before its clock has come that far. A deadline that was moved has a watch of its own.
      if (due > this.now().mono) return due === dueMono ? this.#watch(here, why, dueMono, lateMs) : undefined;
      // It may still start.
      if (!here.process) return this.#watch(here, why, this.now().mono + 1);
      this.#term(here, why);
      this.later(here.deadlines.graceMs + this.#ends.chance.between(0, watchdogTickMs), () =>
        this.#end(here, { code: 137, by: "kill" }),
      );
    });
  }

  #term(here: HostAttempt, by: NonNullable<HostAttempt["term"]>): void {
    if (!here.process || here.exit || here.term !== null) return;
    here.term = by;
    here.process.termed = true;
    if (by === "fenced") {
      this.#ends.counters.happened("a fence fired");
      this.onFence(here.attempt);
    }
    if (!here.deaf) this.later(this.#ends.chance.between(1, 30), () => this.#end(here, { code: 143, by: "term" }));
  }

  #callOff(here: HostAttempt, why: string): void {
    if (here.started !== "no") return;
    here.started = "void";
    this.#tell(here, (told) => told.notStarted({ attempt: here.attempt, how: "refused", why }));
  }

  #end(
    here: HostAttempt,
    how: { readonly code: number; readonly by: NonNullable<Witnessed["endedBy"]>; readonly signal?: string },
    result: ResultFound = { kind: "none" },
  ): void {
    const { witness, schedule } = this.#ends;
    const { attempt, process } = here;
    if (!process || here.exit || here.bootId !== this.bootId) return;
    witness.ends(process, how, schedule.nowMs);
    if (how.by === "kill" && here.deaf) this.#ends.counters.happened("a deaf process was killed");
    this.#ends.trace.tell(() => `process of ${attempt} on ${this.name} ends: ${how.by} ${how.code}`);
    const signal = how.signal ?? (how.by === "kill" ? "SIGKILL" : undefined);
    const record: ExitRecord = signal === undefined ? { read: "code", code: how.code } : { read: "signal", signal };
    here.exit = { record, result };
    this.#tell(here, (told) => told.ended({ attempt, exit: record, ...marksOf(here), result, endedWall: this.now().wall }));
  }

  /** To the agent that lives now; a later one finds it by itself. */
  #tell(here: HostAttempt, tell: (listener: ProcessListener) => void): void {
    const { listener } = this;
    this.later(this.#ends.chance.between(1, 30), () => {
      if (listener === null || listener !== this.listener || here.told) return;
      here.told = true;
      tell(listener);
    });
  }
}
