import { boundedSentence } from "../../schema/end.ts";
import type { Clock } from "../../schema/kit/clock.ts";
import { reached } from "../../schema/kit/failpoint.ts";
import type { Log } from "../../schema/kit/log.ts";
import type { Deadlines } from "../agent/types.ts";
import type { DeadlineFiles } from "./deadlines.ts";
import { notExecuted, readEnd } from "./ending.ts";
import { checkRoom, prepareFolder, type FolderOptions, type NotPrepared } from "./folder.ts";
import type { LaunchOrder, ProcessListener } from "./host.ts";
import { processLimits } from "./limits.ts";
import type { Pids } from "./pids.ts";
import { someoneWorksIn } from "./proc.ts";
import { readProgress } from "./progress.ts";
import { claimVoid, makeVoid, markOver, readExit, readStarted, shimAlive, type ExitRecordRead, type Started } from "./records.ts";
import { readResult } from "./result.ts";
import type { Shims } from "./shims.ts";
import { track, type Tracked } from "./tracked.ts";
import type { Around } from "./look.ts";
import type { Reaper } from "./tree.ts";

export interface AttemptsOptions {
  readonly attemptsFolder: string;
  readonly bootId: string;
  readonly listener: ProcessListener;
  readonly clock: Clock;
  readonly log: Log;
  readonly reaper: Reaper;
  readonly shims: Shims;
  readonly pids: Pids;
  readonly deadlines: DeadlineFiles;
  readonly prepare: FolderOptions;
}

/** The attempts of this host that have not ended: queued, launching, running, ending. The files decide, this only looks. */
export class Attempts {
  readonly #o: AttemptsOptions;
  readonly #live = new Map<string, Tracked>();
  /** Ended ones of which nothing can have got away: their folders may serve others. */
  readonly #clean = new Map<string, Around>();
  readonly #launching = new Set<Tracked>();
  #queue: Tracked[] = [];
  #turn: NodeJS.Immediate | undefined;
  #lookSoon: NodeJS.Timeout | undefined;

  constructor(options: AttemptsOptions) {
    this.#o = options;
  }

  folderOf(attempt: string): string {
    return `${this.#o.attemptsFolder}/${attempt}`;
  }

  get(attempt: string): Tracked | undefined {
    return this.#live.get(attempt);
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
    t.marked = true;
    t.firstSentMono = t.sentMono = this.#o.clock.now().mono;
    this.#live.set(attempt, t);
  }

  /** A new launcher may not have read what the old one was told; a second shim for an attempt does nothing (rule 23). */
  launchAgain(): void {
    for (const t of this.#live.values()) if (t.state === "launching") this.#giveAnew(t);
  }

  /** Who may know the folder of an ended attempt; asked once. */
  aroundEnd(attempt: string): Around {
    const around = this.#clean.get(attempt) ?? "unsure";
    this.#clean.delete(attempt);
    return around;
  }

  #launchSome(): void {
    this.#turn = undefined;
    const some = this.#queue.splice(0, processLimits.launchesPerTurn);
    const born = this.#o.pids.mark() ?? null;
    const { mono } = this.#o.clock.now();
    for (const t of some) {
      // Stopped while it waited.
      if (t.order === null) continue;
      const { deadlines } = t.order;
      const not = this.#prepare(t.order);
      t.order = null;
      if (not) {
        this.#notStarted(t, not);
        continue;
      }
      t.state = "launching";
      t.born = born;
      t.watched = deadlines.timeoutMono !== null || deadlines.fenceMono !== null;
      t.firstSentMono = t.sentMono = mono;
      this.#launching.add(t);
      t.shim = this.#o.shims.give(t.attempt);
      reached("s08", t.attempt);
    }
    if (this.#launching.size > 0) this.#lookLater(processLimits.startLookMs);
    if (this.#queue.length > 0) this.#turn = setImmediate(() => this.#launchSome());
  }

  /**
   * No bell rings for a start: most attempts have ended before anybody would have looked, and of the others it is told a
   * moment later.
   */
  #lookLater(ms: number): void {
    this.#lookSoon ??= setTimeout(() => {
      this.#lookSoon = undefined;
      for (const t of this.#launching) this.look(t.attempt);
      // The poll goes on with what takes longer.
      if (this.#launching.size > 0 && ms < processLimits.startLookMaxMs) this.#lookLater(ms * 2);
    }, ms).unref();
  }

  #prepare(order: LaunchOrder): NotPrepared | undefined {
    const folder = this.folderOf(order.attempt);
    try {
      const not =
        checkRoom(this.#o.attemptsFolder, this.#o.prepare.diskReserveBytes) ?? prepareFolder(folder, order, this.#o.prepare);
      if (not === undefined) this.#o.deadlines.set(order.attempt, order.deadlines);
      return not;
    } catch (error) {
      // Nothing was told to a shim, so nothing of it can run: a full or broken disk is this worker's, not the task's.
      return { how: "refused", why: `the attempt's folder cannot be made: ${(error as Error).message}` };
    }
  }

  /** What the poll does for each, whoever rang or did not. */
  lookAfter(t: Tracked): void {
    this.look(t.attempt);
    this.chase(t);
    this.ease(t);
    if (t.state === "running") this.lookAtProgress(t);
  }

  /** Something may have happened to the attempt: reads its files and tells the listener what is new. */
  look(attempt: string): void {
    const t = this.#live.get(attempt);
    if (t?.state !== "launching" && t?.state !== "running") return;
    const folder = this.folderOf(attempt);
    let exit = readExit(folder, attempt);
    if (t.started === null && !this.#lookForStart(t, exit)) return;
    if (t.started === null) return;
    if (exit.is !== "complete" && exit.is !== "norun") {
      if (shimAlive(t.started, this.#o.bootId)) {
        // Nobody can tell whether it serves the attempt still or waits for the next: let go, it leaves when that is over.
        if (exit.is === "unreadable" && t.shim) this.#o.shims.letGo(t.shim);
        return;
      }
      // A shim that died between the two looks has written before.
      exit = readExit(folder, attempt);
    }
    const not = notExecuted(exit, folder);
    if (not) return this.#notStarted(t, not);
    reached("s10", attempt);
    t.state = "ending";
    this.#o.reaper.reap(attempt, t, (around) => this.#ended(t, exit, around));
  }

  /** True when it has started, and is still to be looked at. */
  #lookForStart(t: Tracked, exit: ExitRecordRead): boolean {
    const folder = this.folderOf(t.attempt);
    const not = notExecuted(exit, folder);
    const record = readStarted(folder, t.attempt);
    if (record.is === "complete" && t.shim) this.#o.shims.claimed(t.shim, record.started);
    if (not) {
      this.#notStarted(t, not);
    } else if (record.is === "complete") {
      t.started = record.started;
      t.state = "running";
      this.#launching.delete(t);
      const { pid, startTicks, bootId } = record.started;
      this.#o.listener.started({ attempt: t.attempt, process: { pid, startTicks, bootId }, startedWall: record.wall });
      for (const act of t.early.splice(0)) act();
      return true;
    } else if (record.is === "void") {
      this.neverStarts(t, "it was called off before its shim began");
    }
    return false;
  }

  #ended(t: Tracked, seen: ExitRecordRead, around: Around): void {
    if (this.#live.get(t.attempt) !== t) return;
    const folder = this.folderOf(t.attempt);
    this.lookAtProgress(t);
    // A whole record is final; one that was not may have become whole before its shim was gone.
    const record = seen.is === "complete" ? seen : readExit(folder, t.attempt);
    const whole = record.is === "complete";
    if (t.watched && !markOver(folder)) t.marked = true;
    const { endedWall, ...end } = readEnd(folder, record, t.marked);
    const result = readResult(`${folder}/result`, t.limits.resultBytes);
    if (whole && around !== "unsure" && !t.marked) this.#clean.set(t.attempt, around);
    this.#forget(t, whole);
    this.#o.listener.ended({ attempt: t.attempt, ...end, result, endedWall: endedWall ?? this.#o.clock.now().wall });
  }

  /** It never runs; told to the listener. */
  neverStarts(t: Tracked, why: string): void {
    this.#notStarted(t, { how: "refused", why });
  }

  #notStarted(t: Tracked, not: NotPrepared): void {
    this.#forget(t, false);
    this.#o.listener.notStarted({ attempt: t.attempt, how: not.how, why: boundedSentence(not.why) });
  }

  #forget(t: Tracked, whole: boolean): void {
    this.#live.delete(t.attempt);
    this.#launching.delete(t);
    this.#o.deadlines.drop(t.attempt);
    if (t.shim) this.#o.shims.free(t.shim, whole && !t.marked);
  }

  /** A launch that nobody answered: given to another shim, then called off, which is safe because the first claim decides (rule 23). */
  chase(t: Tracked): void {
    const nowMs = this.#o.clock.now().mono;
    // Ever more rarely: on a slow host a shim that is replaced too soon would never come to its first line.
    const waitMs = Math.max(processLimits.launchRepeatMs, t.sentMono - t.firstSentMono);
    const givenUp = nowMs - t.firstSentMono >= processLimits.launchGivenUpMs;
    if (t.state !== "launching" || (nowMs - t.sentMono < waitMs && !givenUp)) return;
    t.sentMono = nowMs;
    const folder = this.folderOf(t.attempt);
    if (readStarted(folder, t.attempt).is === "incomplete") {
      // Its maker works in the attempt's folder; when nobody does, it died before it could run anything.
      if (!someoneWorksIn(folder) && claimVoid(folder, t.attempt)) this.neverStarts(t, "its shim died before it began");
    } else if (!givenUp) {
      this.#giveAnew(t);
    } else if (makeVoid(folder, t.attempt)) {
      this.neverStarts(
        t,
        `no shim began it within ${processLimits.launchGivenUpMs / 1_000} s: the host may be out of processes or memory`,
      );
    }
  }

  /** The claim that is found may be either shim's, so neither serves another attempt. */
  #giveAnew(t: Tracked): void {
    t.marked = true;
    if (t.shim) this.#o.shims.free(t.shim, false);
    t.shim = this.#o.shims.giveToNew(t.attempt);
  }

  /** A shim that serves for long is no longer held: thousands of services would each cost the agent a file. */
  ease(t: Tracked): void {
    if (t.state !== "running" || !t.shim || this.#o.clock.now().mono - t.firstSentMono < processLimits.shimKeptMs) return;
    this.#o.shims.letGo(t.shim);
  }

  lookAtProgress(t: Tracked): void {
    const seen = readProgress(`${this.folderOf(t.attempt)}/progress`, t.progressSeen);
    if (!seen) return;
    t.progressSeen = seen.seen;
    if (seen.progress) this.#o.listener.progress({ attempt: t.attempt, ...seen.progress });
  }

  setDeadlines(attempt: string, deadlines: Deadlines): void {
    const t = this.#live.get(attempt);
    if (!t) return;
    // Not written yet: its folder will be made with these.
    if (t.order !== null) {
      t.order = { ...t.order, deadlines };
      return;
    }
    t.watched = true;
    try {
      this.#o.deadlines.set(attempt, deadlines);
    } catch (error) {
      // The file keeps an earlier fence, so the watchdog acts too soon at worst (rule 8); the next echo tries again.
      this.#o.log.warn({ err: error, attemptId: attempt }, "the attempt's deadlines could not be written");
    }
  }

  close(): void {
    clearImmediate(this.#turn);
    clearTimeout(this.#lookSoon);
    this.#queue = [];
    this.#live.clear();
  }
}
