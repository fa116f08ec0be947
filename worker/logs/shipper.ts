/**
 * Ships the output of attempts to the manager: in turn over all that have some, bounded on the wire, again when nothing is
 * acknowledged, and until every byte is acknowledged or told of as a gap. Only then does an attempt's folder go.
 */
import { join } from "node:path";
import type { Clock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import { timing, workerLimits } from "../../schema/limits.ts";
import { Freer, type FreeBytes } from "./free.ts";
import { Growth } from "./growth.ts";
import { readPiece, type LogPiece } from "./piece.ts";
import type { Positions } from "./positions.ts";
import * as streams from "./stream.ts";
import type { LogStream, StreamName } from "./stream.ts";
import { Unacked } from "./unacked.ts";
import { WireRoom } from "./wire-room.ts";

export interface ShipperDeps {
  readonly folderOf: (attempt: string) => string;
  /** Removes the attempt's folder. */
  readonly remove: (attempt: string) => Promise<void>;
  /** Sends one piece; nothing is known of it until an ack comes. */
  readonly send: (piece: LogPiece) => void;
  readonly freeBytes: FreeBytes;
  readonly positions: Positions;
  /** Bytes that one stream may have unshipped on disk. */
  readonly logSpoolBytes: number;
  /** Reads a piece and makes its message; a simulation reads without waiting. */
  readonly read?: typeof readPiece;
  /** For pauses and resends only; the process's own is the cheaper one. */
  readonly clock: Clock;
  readonly log: Log;
}

interface Shipped {
  readonly attempt: string;
  readonly streams: Readonly<Record<StreamName, LogStream>>;
  /** The manager has acknowledged its end. */
  settled: boolean;
  freeing: boolean;
}

export class LogShipper implements AsyncDisposable {
  readonly #deps: ShipperDeps;
  readonly #growth: Growth;
  readonly #freer: Freer;
  readonly #attempts = new Map<string, Shipped>();
  /** Streams that have something to send, in turn. */
  readonly #ready = new Set<LogStream>();
  readonly #waiting = new Unacked();
  /** Streams whose file could not be read just now. */
  readonly #unreadable = new Set<LogStream>();
  readonly #working = new Set<Promise<void>>();
  readonly #sweeper: NodeJS.Timeout;
  shippedBytes = 0; // That a manager has acknowledged since the agent began, gaps included.
  readonly #room = new WireRoom();
  #connected = false;
  #pumping: Promise<void> | undefined;

  constructor(deps: ShipperDeps) {
    this.#deps = deps;
    this.#freer = new Freer(deps);
    this.#growth = new Growth({ clock: deps.clock, grown: (stream) => this.#grown(stream) });
    this.#sweeper = setInterval(() => this.#sweep(), timing.logSweepMs).unref();
  }

  /** Bytes that are on disk and neither shipped nor dropped. */
  get spoolBytes(): number {
    return [...this.#attempts.values()].flatMap(both).reduce((sum, stream) => sum + streams.unshipped(stream), 0);
  }

  /** Begins with an attempt, new or of an earlier agent's. `logStreamBytes` is the bound of one stream; unknown for one that ended long ago. */
  track(attempt: string, logStreamBytes: number = workerLimits.logStreamBytes): void {
    if (this.#attempts.has(attempt)) return;
    const folder = this.#deps.folderOf(attempt);
    const known = this.#deps.positions.read(attempt);
    const stream = (name: StreamName): LogStream =>
      streams.newStream({
        attempt,
        name,
        file: join(folder, name),
        ...(known?.[name] ?? { cap: logStreamBytes, acked: 0, floor: 0 }),
      });
    const shipped: Shipped = {
      attempt,
      streams: { stdout: stream("stdout"), stderr: stream("stderr") },
      settled: false,
      freeing: false,
    };
    this.#attempts.set(attempt, shipped);
    for (const one of both(shipped)) this.#growth.follow(one);
  }

  /** Its process is gone, or never was: what the files hold now is all. */
  ended(attempt: string): void {
    const shipped = this.#attempts.get(attempt);
    if (!shipped) return;
    for (const stream of both(shipped)) {
      this.#growth.unfollow(stream);
      stream.ended = true;
      this.#growth.look(stream);
      this.#grown(stream);
    }
    this.#removeIfDone(shipped);
  }

  /** The manager knows its end: the folder may go as soon as the logs are shipped. */
  settle(attempt: string): void {
    const shipped = this.#attempts.get(attempt);
    if (!shipped) return;
    shipped.settled = true;
    this.#removeIfDone(shipped);
  }

  /** The manager has everything of this stream below `offset`. */
  acked(attempt: string, name: StreamName, offset: number): void {
    const shipped = this.#attempts.get(attempt);
    if (!shipped) return;
    const stream = shipped.streams[name];
    this.shippedBytes += Math.max(0, offset - stream.acked);
    const { mono } = this.#deps.clock.now();
    this.#waiting.heard(stream, offset, mono);
    if (offset < stream.acked && stream.tries > 0) this.#room.giveBack(stream, streams.moveBack(stream, offset));
    else this.#room.giveBack(stream, streams.noteAcked(stream, offset, mono));
    if (stream.sent === stream.acked) this.#waiting.delete(stream);
    this.#offer(stream);
    this.#pump();
    this.#free(shipped);
    this.#removeIfDone(shipped);
  }

  /** A connection is up: everything unacknowledged goes out again. */
  up(): void {
    this.#connected = true;
    for (const stream of [...this.#attempts.values()].flatMap(both)) {
      stream.tries = 0;
      this.#offer(stream);
    }
  }

  /** Another manager leads: what is on the wire is lost, and goes out again now. */
  again(): void {
    if (!this.#connected) return;
    this.down();
    this.up();
  }

  down(): void {
    this.#connected = false;
    for (const stream of this.#waiting.takeAll()) this.#room.giveBack(stream, streams.rewind(stream));
    this.#ready.clear();
  }

  /** Ends; what is not shipped stays on disk for the next agent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.down();
    clearInterval(this.#sweeper);
    this.#growth.stop();
    await this.#pumping;
    await Promise.all(this.#working);
  }

  #grown(stream: LogStream): void {
    const first = stream.floor === 0;
    const dropped = streams.dropOldest(stream, this.#deps.logSpoolBytes);
    if (dropped > 0) {
      const line = { attemptId: stream.attempt, stream: stream.name, bytes: dropped };
      // An output that never stops would say so five times a second.
      this.#deps.log[first ? "warn" : "debug"](line, "unshipped output was dropped: its spool is full");
    }
    this.#offer(stream);
    const shipped = this.#attempts.get(stream.attempt);
    if (shipped) this.#free(shipped);
  }

  #offer(stream: LogStream): void {
    if (!this.#connected || !streams.maySend(stream)) return;
    this.#ready.add(stream);
    this.#pump();
  }

  #pump(): void {
    if (this.#ready.size === 0) return;
    this.#pumping ??= this.#sendAll().finally(() => (this.#pumping = undefined));
  }

  async #sendAll(): Promise<void> {
    while (this.#connected && !this.#room.isFull) {
      const [stream] = this.#ready;
      if (!stream) return;
      this.#ready.delete(stream);
      await this.#sendNext(stream);
      // To the end of the line, so that a stream with much to say never holds up the others.
      if (this.#connected && streams.maySend(stream) && !this.#unreadable.has(stream) && this.#attempts.has(stream.attempt))
        this.#ready.add(stream);
    }
  }

  async #sendNext(stream: LogStream): Promise<void> {
    const piece = streams.maySend(stream) ? streams.nextPiece(stream) : null;
    if (!piece) return;
    try {
      const { covers, message } = await (this.#deps.read ?? readPiece)(stream, piece);
      // While the file was read an ack may have come, the connection or the attempt gone: then it is no longer the next piece.
      if (!this.#connected || stream.sent !== piece.offset || !this.#attempts.has(stream.attempt)) return;
      streams.noteSent(stream, covers, this.#deps.clock.now().mono);
      if (covers.kind === "bytes") this.#room.take(stream, covers.length);
      this.#waiting.add(stream);
      this.#deps.send(message);
    } catch (error) {
      this.#deps.log.warn(
        { err: error, attemptId: stream.attempt, stream: stream.name },
        "output could not be read and is tried again",
      );
      this.#unreadable.add(stream);
    }
  }

  /** Overdue acks, files to try again, and the bounds over all attempts. */
  #sweep(): void {
    const { mono } = this.#deps.clock.now();
    for (const stream of this.#waiting.takeDue(mono, this.#room)) this.#offer(stream);
    const again = [...this.#unreadable];
    this.#unreadable.clear();
    for (const stream of again) this.#offer(stream);
    this.#pump();
    this.#bound();
  }

  #bound(): void {
    let surplus = this.spoolBytes - workerLimits.logSpoolTotalBytes;
    const ended = [...this.#attempts.values()].filter((shipped) => shipped.streams.stdout.ended);
    for (const shipped of ended) {
      if (surplus <= 0) break;
      const dropped = both(shipped).reduce((sum, stream) => sum + streams.dropOldest(stream, 0), 0);
      surplus -= dropped;
      if (dropped > 0)
        this.#deps.log.warn(
          { attemptId: shipped.attempt, bytes: dropped },
          "unshipped output was dropped: the worker's spool is full",
        );
      this.#free(shipped);
    }
    const settled = ended.filter((shipped) => shipped.settled);
    for (const shipped of settled.slice(0, Math.max(0, settled.length - workerLimits.attemptFoldersKept))) {
      this.#deps.log.warn({ attemptId: shipped.attempt }, "the output of an ended attempt was never acknowledged and is removed");
      this.#forget(shipped);
    }
  }

  #free(shipped: Shipped): void {
    if (shipped.freeing || !this.#freer.wants(both(shipped))) return;
    shipped.freeing = true;
    const before = streams.freedBytes(both(shipped));
    const done = (): void => {
      shipped.freeing = false;
      if (!this.#attempts.has(shipped.attempt)) this.#deps.positions.drop(shipped.attempt);
      // What has come meanwhile asked in vain; where nothing could be freed, the next that comes asks again.
      else if (streams.freedBytes(both(shipped)) > before) this.#free(shipped);
    };
    this.#work(this.#freer.free(shipped.attempt, shipped.streams).finally(done));
  }

  #removeIfDone(shipped: Shipped): void {
    if (shipped.settled && both(shipped).every(streams.isComplete)) this.#forget(shipped);
  }

  #forget(shipped: Shipped): void {
    if (!this.#attempts.delete(shipped.attempt)) return;
    for (const stream of both(shipped)) {
      this.#growth.unfollow(stream);
      for (const some of [this.#ready, this.#waiting, this.#unreadable]) some.delete(stream);
      this.#room.giveUp(stream);
    }
    const { attempt } = shipped;
    if (!shipped.freeing) this.#deps.positions.drop(attempt);
    const failed = (error: unknown): void =>
      this.#deps.log.warn({ err: error, attemptId: attempt }, "the folder of an ended attempt could not be removed");
    this.#work(this.#deps.remove(attempt).catch(failed));
  }

  #work(work: Promise<void>): void {
    this.#working.add(work);
    void work.finally(() => this.#working.delete(work));
  }
}

function both(shipped: Shipped): readonly [LogStream, LogStream] {
  return [shipped.streams.stdout, shipped.streams.stderr];
}
