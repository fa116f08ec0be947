import { constants } from "node:os";
import { boundedSentence } from "../../schema/end.ts";
import type { Clock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import type { Deadlines } from "../agent/types.ts";
import type { DeadlineFiles } from "./deadlines.ts";
import { notExecuted, readEnd } from "./ending.ts";
import { checkRoom, prepareFolder, type FolderOptions, type NotPrepared } from "./folder.ts";
import type { LaunchOrder, ProcessListener } from "./host.ts";
import type { Launcher } from "./launcher.ts";
import { processLimits } from "./limits.ts";
import { sendSignal, someoneWorksIn } from "./proc.ts";
import { whenProgram } from "./program.ts";
import { readProgress } from "./progress.ts";
import { makeVoid, markSignal, markTerm, readExit, readStarted, shimAlive, type Started } from "./records.ts";
import { readResult } from "./result.ts";
import { track, type Tracked } from "./tracked.ts";
import type { Reaper } from "./tree.ts";

export interface AttemptsOptions {
  readonly attemptsFolder: string;
  readonly bootId: string;
  readonly listener: ProcessListener;
  readonly clock: Clock;
  readonly log: Log;
  readonly reaper: Reaper;
  readonly launcher: Launcher;
  readonly deadlines: DeadlineFiles;
  readonly prepare: FolderOptions;
}

/** The attempts of this host that have not ended: queued, launching, running, ending. The files decide, this only looks. */
export class Attempts {
  readonly #o: AttemptsOptions;
  readonly #live = new Map<string, Tracked>();
  #queue: Tracked[] = [];
  #turn: NodeJS.Immediate | undefined;
  #endsSinceSweep = 0;

  constructor(options: AttemptsOptions) {
    this.#o = options;
  }

  folderOf(attempt: string): string {
    return `${this.#o.attemptsFolder}/${attempt}`;
  }

  /** All of them, as they are now. */
  all(): readonly Tracked[] {
    return [...this.#live.values()];
  }

  launch(order: LaunchOrder): void {
    if (this.#live.has(order.attempt)) {
      this.#o.log.error({ attemptId: order.attempt }, "asked to launch an attempt that is live already; nothing done");
      return;
    }
    const t = track(order.attempt, order.limits, "queued");
    t.order = order;
    this.#live.set(order.attempt, t);
    this.#queue.push(t);
    this.#turn ??= setImmediate(() => this.#launchSome());
  }

  /** Takes up an attempt that an earlier agent launched. */
  adopt(attempt: string, limits: LaunchOrder["limits"], started: Started | null): void {
    const t = track(attempt, limits, started === null ? "launching" : "running");
    t.started = started;
    t.firstSentMono = t.sentMono = this.#o.clock.now().mono;
    this.#live.set(attempt, t);
  }

  /** A new launcher may not have read what the old one was told; a second line for an attempt does nothing (rule 23). */
  launchAgain(): void {
    const lines = [...this.#live.values()].filter((t) => t.state === "launching").map((t) => `${t.attempt}\n`);
    if (lines.length > 0) this.#o.launcher.send(lines.join(""));
  }

  #launchSome(): void {
    this.#turn = undefined;
    const some = this.#queue.splice(0, processLimits.launchesPerTurn);
    const lines: string[] = [];
    for (const t of some) {
      // Stopped while it waited.
      if (t.order === null) continue;
      const not = this.#prepare(t.order);
      t.order = null;
      if (not) {
        this.#notStarted(t, not);
        continue;
      }
      t.state = "launching";
      t.firstSentMono = t.sentMono = this.#o.clock.now().mono;
      lines.push(`${t.attempt}\n`);
    }
    if (lines.length > 0) this.#o.launcher.send(lines.join(""));
    if (this.#queue.length > 0) this.#turn = setImmediate(() => this.#launchSome());
  }

  #prepare(order: LaunchOrder): NotPrepared | undefined {
    const folder = this.folderOf(order.attempt);
    try {
      const not =
        checkRoom(this.#o.attemptsFolder, this.#o.prepare.diskReserveBytes) ?? prepareFolder(folder, order, this.#o.prepare);
      if (not === undefined) this.#o.deadlines.set(order.attempt, order.deadlines);
      return not;
    } catch (error) {
      // Nothing was told to the launcher, so nothing of it can run: a full or broken disk is this worker's, not the task's.
      return { how: "refused", why: `the attempt's folder cannot be made: ${(error as Error).message}` };
    }
  }

  /** Something may have happened to the attempt: reads its files and tells the listener what is new. */
  look(attempt: string): void {
    const t = this.#live.get(attempt);
    if (t?.state === "launching") this.#lookForStart(t);
    if (t?.state === "running") this.#lookForEnd(t);
  }

  #lookForStart(t: Tracked): void {
    const folder = this.folderOf(t.attempt);
    const exit = readExit(folder, t.attempt);
    const not = notExecuted(exit, folder);
    if (not) return this.#notStarted(t, not);
    const record = readStarted(folder);
    if (record.is === "complete") {
      t.started = record.started;
      t.state = "running";
      const { pid, startTicks, bootId } = record.started;
      this.#o.listener.started({ attempt: t.attempt, process: { pid, startTicks, bootId }, startedWall: record.wall });
      for (const act of t.early.splice(0)) act();
    } else if (record.is === "void") {
      this.#neverStarts(t, "it was called off before its shim began");
    }
  }

  #lookForEnd(t: Tracked): void {
    if (t.started === null) return;
    const folder = this.folderOf(t.attempt);
    // The order matters: a shim that dies between two looks has written before.
    const alive = shimAlive(t.started, this.#o.bootId);
    const exit = readExit(folder, t.attempt);
    const not = notExecuted(exit, folder);
    if (not) return this.#notStarted(t, not);
    if (exit.is !== "complete" && alive) return;
    t.state = "ending";
    this.#o.reaper.reap(t.attempt, t.started, () => this.#ended(t));
  }

  #ended(t: Tracked): void {
    if (this.#live.get(t.attempt) !== t) return;
    const folder = this.folderOf(t.attempt);
    this.lookAtProgress(t);
    const { endedWall, ...end } = readEnd(folder, t.attempt);
    const result = readResult(`${folder}/result`, t.limits.resultBytes);
    this.#forget(t);
    this.#o.listener.ended({ attempt: t.attempt, ...end, result, endedWall: endedWall ?? this.#o.clock.now().wall });
    if (++this.#endsSinceSweep < processLimits.endsPerSweep) return;
    this.#endsSinceSweep = 0;
    this.#o.launcher.send(".sweep\n");
  }

  #neverStarts(t: Tracked, why: string): void {
    this.#notStarted(t, { how: "refused", why });
  }

  #notStarted(t: Tracked, not: NotPrepared): void {
    this.#forget(t);
    this.#o.listener.notStarted({ attempt: t.attempt, how: not.how, why: boundedSentence(not.why) });
  }

  #forget(t: Tracked): void {
    this.#live.delete(t.attempt);
    this.#o.deadlines.drop(t.attempt);
  }

  /** A launch that nobody answered: told again, then called off, which is safe because `started` is made once (rule 23). */
  chase(t: Tracked): void {
    const nowMs = this.#o.clock.now().mono;
    if (t.state !== "launching" || nowMs - t.sentMono < processLimits.launchRepeatMs) return;
    t.sentMono = nowMs;
    const folder = this.folderOf(t.attempt);
    if (readStarted(folder).is === "incomplete") {
      // Its maker works in the attempt's folder; when nobody does, it died before it could run anything.
      if (!someoneWorksIn(folder)) this.#neverStarts(t, "its shim died before it began");
    } else if (nowMs - t.firstSentMono < processLimits.launchGivenUpMs) {
      this.#o.launcher.send(`${t.attempt}\n`);
    } else if (makeVoid(folder)) {
      this.#neverStarts(
        t,
        `no shim began it within ${processLimits.launchGivenUpMs / 1_000} s: the host may be out of processes or memory`,
      );
    }
  }

  lookAtProgress(t: Tracked): void {
    const seen = readProgress(`${this.folderOf(t.attempt)}/progress`, t.progressMtimeMs);
    if (!seen) return;
    t.progressMtimeMs = seen.mtimeMs;
    if (seen.progress) this.#o.listener.progress({ attempt: t.attempt, ...seen.progress });
  }

  terminate(attempt: string): void {
    if (this.#callOff(attempt)) return;
    this.#withProgram(attempt, (t, started) => {
      if (!this.#markTerm(t) || !shimAlive(started, this.#o.bootId)) return;
      sendSignal(-started.group, "SIGTERM");
      // A process that is stopped takes TERM only when it goes on.
      sendSignal(-started.group, "SIGCONT");
    });
  }

  kill(attempt: string): void {
    if (this.#callOff(attempt)) return;
    this.#withShim(attempt, (t, started) => {
      this.#markTerm(t);
      if (shimAlive(started, this.#o.bootId)) sendSignal(-started.group, "SIGKILL");
      this.#o.reaper.reap(attempt, started, () => this.look(attempt));
    });
  }

  signal(attempt: string, signal: string): void {
    if (!(signal in constants.signals)) {
      this.#o.log.warn({ attemptId: attempt, signal }, "this host knows no such signal; nothing sent");
      return;
    }
    this.#withProgram(attempt, (t, started) => {
      if (readExit(this.folderOf(t.attempt), t.attempt).is !== "blank" || !shimAlive(started, this.#o.bootId)) return;
      markSignal(this.folderOf(t.attempt), signal);
      sendSignal(-started.group, signal as NodeJS.Signals);
    });
  }

  setDeadlines(attempt: string, deadlines: Deadlines): void {
    const t = this.#live.get(attempt);
    if (!t) return;
    // Not written yet: its folder will be made with these.
    if (t.order !== null) t.order = { ...t.order, deadlines };
    else
      try {
        this.#o.deadlines.set(attempt, deadlines);
      } catch (error) {
        // The file keeps an earlier fence, so the watchdog acts too soon at worst (rule 8); the next echo tries again.
        this.#o.log.warn({ err: error, attemptId: attempt }, "the attempt's deadlines could not be written");
      }
  }

  /** False when the end came first, or somebody sent TERM before. */
  #markTerm(t: Tracked): boolean {
    const folder = this.folderOf(t.attempt);
    return readExit(folder, t.attempt).is === "blank" && markTerm(folder, "agent", Math.floor(this.#o.clock.now().mono / 1_000));
  }

  /** An attempt whose folder is not even made is not launched at all. */
  #callOff(attempt: string): boolean {
    const t = this.#live.get(attempt);
    if (t?.state !== "queued") return false;
    t.order = null;
    // Not from within the caller's own turn: the listener may be in the middle of asking.
    setImmediate(() => this.#neverStarts(t, "it was stopped before it was launched"));
    return true;
  }

  /** Acts on the attempt's process, at once or as soon as its shim is known. */
  #withShim(attempt: string, act: (t: Tracked, started: Started) => void): void {
    const t = this.#live.get(attempt);
    if (!t) return;
    if (t.state === "launching") this.#lookForStart(t);
    if (t.started !== null) return act(t, t.started);
    if (t.state !== "ending") t.early.push(() => t.started !== null && act(t, t.started));
  }

  #withProgram(attempt: string, act: (t: Tracked, started: Started) => void): void {
    this.#withShim(attempt, (t, started) => {
      whenProgram(started, this.#o, () => this.#live.get(attempt) === t && act(t, started));
    });
  }

  close(): void {
    clearImmediate(this.#turn);
    this.#queue = [];
    this.#live.clear();
  }
}
