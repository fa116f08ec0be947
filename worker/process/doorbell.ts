import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, watch, type FSWatcher } from "node:fs";
import type { Log } from "../../schema/kit/log.ts";
import { processLimits } from "./limits.ts";

/** Rings for attempts about which there is news. Only a hint: a lost ring costs latency, the poll is the truth. */
export interface Doorbell {
  /** Reads what has been rung since; for when the watch may have missed it. */
  look(): void;
  close(): void;
}

/**
 * A plain file to which shims append their attempt's id, watched by inotify. No fifo: a shim that writes to a fifo waits for
 * its reader, and a task must never wait for the agent. Where nothing can be watched, the file is looked at by a timer.
 */
export function hangDoorbell(file: string, log: Log, onRing: (attempt: string) => void): Doorbell {
  // What was rung before our time is found by recovery.
  const fd = openSync(file, constants.O_CREAT | constants.O_RDWR | constants.O_TRUNC | constants.O_APPEND, 0o600);
  const buffer = Buffer.allocUnsafe(65_536);
  let position = 0;
  let rest = "";
  let waiting = false;
  let closed = false;

  const look = (): void => {
    waiting = false;
    if (closed) return;
    const rung = new Set<string>();
    if (fstatSync(fd).size < position) position = 0;
    for (;;) {
      const read = readSync(fd, buffer, 0, buffer.length, position);
      if (read === 0) break;
      position += read;
      const lines = (rest + buffer.toString("latin1", 0, read)).split("\n");
      rest = (lines.pop() ?? "").slice(0, 100);
      for (const line of lines) rung.add(line);
    }
    if (position > processLimits.doorbellBytes) {
      // A ring that falls between the last read and here is lost, and the poll finds its attempt.
      ftruncateSync(fd, 0);
      position = 0;
    }
    for (const attempt of rung) onRing(attempt);
  };
  const soon = (): void => {
    if (waiting || closed) return;
    waiting = true;
    setImmediate(look);
  };

  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  const fallBack = (error: unknown): void => {
    if (timer) return;
    log.warn({ err: error }, "the doorbell cannot be watched; it is looked at by a timer instead");
    timer = setInterval(soon, processLimits.unwatchedDoorbellMs);
    timer.unref();
  };
  try {
    watcher = watch(file, { persistent: false }, soon);
    watcher.on("error", fallBack);
  } catch (error) {
    fallBack(error);
  }
  return {
    look,
    close: () => {
      closed = true;
      watcher?.close();
      clearInterval(timer);
      closeSync(fd);
    },
  };
}
