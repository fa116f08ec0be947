/**
 * Notices that output grew: a stream that grew lately is looked at every `logPollMs`; one that is quiet is left to the
 * kernel (inotify through fs.watch), so that thousands of quiet attempts cost nothing. A talkative stream is not watched,
 * because every write of its process would wake the agent.
 */
import { watch, type FSWatcher } from "node:fs";
import type { Clock } from "../../schema/kit/clock.ts";
import { timing } from "../../schema/limits.ts";
import { plainFileSize } from "../plain-file.ts";
import type { LogStream } from "./stream.ts";

/** Streams that can be neither watched nor found are looked at in every fifth round only. */
const slowRounds = 5;

export class Growth {
  readonly #clock: Clock;
  readonly #grown: (stream: LogStream) => void;
  /** Stream → mono ms of its last growth. */
  readonly #polled = new Map<LogStream, number>();
  readonly #slow = new Set<LogStream>();
  readonly #watched = new Map<LogStream, FSWatcher>();
  #timer: NodeJS.Timeout | undefined;
  #round = 0;

  /** `grown` is called for a followed stream whose file is longer than its `size`, which is set first. */
  constructor(deps: { readonly clock: Clock; readonly grown: (stream: LogStream) => void }) {
    this.#clock = deps.clock;
    this.#grown = deps.grown;
  }

  follow(stream: LogStream): void {
    this.unfollow(stream);
    this.#polled.set(stream, this.#clock.now().mono);
    this.#timer ??= setInterval(() => this.#lookAtAll(), timing.logPollMs).unref();
  }

  unfollow(stream: LogStream): void {
    this.#polled.delete(stream);
    this.#slow.delete(stream);
    this.#watched.get(stream)?.close();
    this.#watched.delete(stream);
  }

  /** Looks at the file now; true when it grew. */
  look(stream: LogStream): boolean {
    const size = plainFileSize(stream.file);
    if (size <= stream.size) return false;
    stream.size = size;
    return true;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const watcher of this.#watched.values()) watcher.close();
    this.#watched.clear();
    this.#polled.clear();
    this.#slow.clear();
  }

  #lookAtAll(): void {
    this.#round += 1;
    const { mono } = this.#clock.now();
    for (const [stream, grewMono] of this.#polled) {
      if (this.look(stream)) {
        this.#polled.set(stream, mono);
        this.#grown(stream);
      } else if (mono - grewMono >= timing.logQuietMs) {
        this.#leaveToKernel(stream);
      }
    }
    if (this.#round % slowRounds === 0) for (const stream of this.#slow) this.#lookAgain(stream);
    if (this.#polled.size > 0 || this.#slow.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #leaveToKernel(stream: LogStream): void {
    this.#polled.delete(stream);
    try {
      const watcher = watch(stream.file, { persistent: false }, () => this.follow(stream));
      watcher.on("error", () => this.follow(stream));
      this.#watched.set(stream, watcher);
    } catch {
      // No such file yet, or the host's bound on watches is reached: looking now and then does as well.
      this.#slow.add(stream);
      return;
    }
    // It may have grown just before the watch began.
    this.#lookAgain(stream);
  }

  #lookAgain(stream: LogStream): void {
    if (!this.look(stream)) return;
    this.follow(stream);
    this.#grown(stream);
  }
}
