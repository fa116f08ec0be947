/** SIGINT and SIGTERM, counted as a person presses Ctrl-C. */
import type { EventEmitter } from "node:events";
import { processClock, type Clock } from "../schema/kit/clock.ts";
import { timing } from "../schema/limits.ts";

export interface Presses extends Disposable {
  /** Resolves when the person has pressed this often. */
  reached(count: number): Promise<void>;
}

/**
 * Counts SIGINT and SIGTERM of `source` (the process). Two within `sameSignalMs` are one: a terminal sends Ctrl-C to the
 * whole group, and a parent passes its own on. SIGHUP is passed over, so that a closing terminal ends nothing.
 */
export function countPresses(source: EventEmitter = process, clock: Clock = processClock): Presses {
  const waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  let pressed = 0;
  let lastMono = Number.NEGATIVE_INFINITY;
  const press = (): void => {
    const { mono } = clock.now();
    if (mono - lastMono < timing.sameSignalMs) return;
    lastMono = mono;
    pressed += 1;
    for (const one of waiting) if (one.count <= pressed) one.resolve();
  };
  const passOver = (): void => undefined;
  source.on("SIGINT", press);
  source.on("SIGTERM", press);
  source.on("SIGHUP", passOver);
  return {
    reached: (count) =>
      new Promise((resolve) => {
        if (pressed >= count) resolve();
        else waiting.push({ count, resolve });
      }),
    [Symbol.dispose]() {
      source.off("SIGINT", press);
      source.off("SIGTERM", press);
      source.off("SIGHUP", passOver);
    },
  };
}
