/**
 * Notices that output grew: a stream that grew lately is looked at every `logPollMs`; one that is quiet is left to the
 * kernel (inotify through fs.watch), so that thousands of quiet attempts cost nothing. A talkative stream is not watched,
 * because every write of its process would wake the agent.
 */
import { watch, type FSWatcher } from "node:fs";
import { timing } from "../../schema/limits.ts";
import type { Clock } from "../../schema/kit/clock.ts";
import { outputSize } from "./output-file.ts";
import type { LogStream } from "./stream.ts";

/** Streams that can be neither watched nor found are looked at in every fifth round only. */
const slowRounds = 5;

export interface Growth {
  /** From now on `grown` is called when the file is longer than `stream.size`, which it sets first. */
  follow(stream: LogStream): void;
  unfollow(stream: LogStream): void;
  /** Looks at the file now; true when it grew. */
  look(stream: LogStream): boolean;
  stop(): void;
}

export function noticeGrowth(deps: { readonly clock: Clock; readonly grown: (stream: LogStream) => void }): Growth {
  /** Stream → mono ms of its last growth. */
  const polled = new Map<LogStream, number>();
  const slow = new Set<LogStream>();
  const watched = new Map<LogStream, FSWatcher>();
  let timer: NodeJS.Timeout | undefined;
  let round = 0;

  const look = (stream: LogStream): boolean => {
    const size = outputSize(stream.file);
    if (size <= stream.size) return false;
    stream.size = size;
    return true;
  };

  const unwatch = (stream: LogStream): void => {
    watched.get(stream)?.close();
    watched.delete(stream);
  };

  const poll = (stream: LogStream): void => {
    unwatch(stream);
    slow.delete(stream);
    polled.set(stream, deps.clock.now().mono);
    timer ??= setInterval(lookAtAll, timing.logPollMs).unref();
  };

  const leaveToKernel = (stream: LogStream): void => {
    polled.delete(stream);
    try {
      const watcher = watch(stream.file, { persistent: false }, () => poll(stream));
      watcher.on("error", () => poll(stream));
      watched.set(stream, watcher);
    } catch {
      // No such file yet, or the host's bound on watches is reached: looking now and then does as well.
      slow.add(stream);
      return;
    }
    // It may have grown just before the watch began.
    if (look(stream)) {
      poll(stream);
      deps.grown(stream);
    }
  };

  const lookAtAll = (): void => {
    round += 1;
    const { mono } = deps.clock.now();
    for (const [stream, grewMono] of polled) {
      if (look(stream)) {
        polled.set(stream, mono);
        deps.grown(stream);
      } else if (mono - grewMono >= timing.logQuietMs) {
        leaveToKernel(stream);
      }
    }
    if (round % slowRounds === 0) {
      for (const stream of slow) {
        if (!look(stream)) continue;
        poll(stream);
        deps.grown(stream);
      }
    }
    if (polled.size === 0 && slow.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };

  return {
    follow: poll,
    unfollow(stream) {
      polled.delete(stream);
      slow.delete(stream);
      unwatch(stream);
    },
    look,
    stop() {
      clearInterval(timer);
      timer = undefined;
      for (const watcher of watched.values()) watcher.close();
      watched.clear();
      polled.clear();
      slow.clear();
    },
  };
}
