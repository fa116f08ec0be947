import type { Clock, Timers } from "../../schema/kit/clock.ts";
import type { Asker } from "./database.ts";
import type { Schedule } from "./schedule.ts";
import type { Chance } from "./seeded.ts";

/** Clocks of manager processes have nothing to do with each other's, nor with the one before. */
const clockApartMs = 50_000_000;

/**
 * One life of a manager's process. Everything that happens in it passes `run`: after a kill nothing does, and what comes while
 * it stands still (SIGSTOP, a suspended machine) waits and then comes at once.
 */
export class Life implements Asker {
  readonly name: string;
  alive = true;
  cutFromDatabase = false;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly #schedule: Schedule;
  readonly #chance: Chance;
  #held: { readonly act: () => void; readonly isTimer: boolean }[] | undefined;
  /** How long its monotonic clock stood still while the machine was suspended. */
  #frozenMs = 0;
  #frozenSinceMs: number | undefined;
  /** When it last came back from standing still for so long that it must count as away, in its own clock. */
  backMono: number | undefined;
  readonly #absentMs: number;
  wallOffMs: number;

  constructor(name: string, ends: { readonly schedule: Schedule; readonly chance: Chance; readonly absentMs: number }) {
    this.name = name;
    this.#schedule = ends.schedule;
    this.#chance = ends.chance;
    this.#absentMs = ends.absentMs;
    const baseMs = ends.chance.between(0, clockApartMs);
    this.wallOffMs = ends.chance.between(-5_000, 5_000);
    this.clock = {
      now: () => ({
        mono: baseMs + (this.#frozenSinceMs ?? this.#schedule.nowMs) - this.#frozenMs,
        wall: 1_800_000_000_000 + this.#schedule.nowMs + this.wallOffMs,
      }),
    };
    this.timers = {
      after: (ms, act) => this.#after(ms, act),
      afterArrived: (act) => void this.#schedule.after(0, () => this.run(act)),
    };
  }

  run(act: () => void): void {
    this.#run(act, false);
  }

  #run(act: () => void, isTimer: boolean): void {
    if (!this.alive) return;
    if (this.#held) {
      this.#held.push({ act, isTimer });
      return;
    }
    this.#schedule.unsettled = true;
    act();
  }

  /** A timer counts the monotonic clock, which may have stood still meanwhile. */
  #after(ms: number, act: () => void): () => void {
    const frozenMs = this.#frozenMs;
    let cancelled = false;
    const cancel = this.#schedule.after(ms, () => {
      const lateMs = this.#frozenMs - frozenMs;
      const due = (): void => {
        if (!cancelled) this.#run(act, true);
      };
      if (lateMs > 0) this.#schedule.after(lateMs, due);
      else due();
    });
    return () => {
      cancelled = true;
      cancel();
    };
  }

  /** `frozen`: its clock stands still too. */
  pause(forMs: number, frozen: boolean): void {
    if (!this.alive || this.#held) return;
    this.#held = [];
    if (frozen) this.#frozenSinceMs = this.#schedule.nowMs;
    this.#schedule.after(forMs, () => this.#resume(forMs, frozen));
  }

  get paused(): boolean {
    return this.#held !== undefined;
  }

  #resume(forMs: number, frozen: boolean): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    if (this.#frozenSinceMs !== undefined) this.#frozenMs += this.#schedule.nowMs - this.#frozenSinceMs;
    this.#frozenSinceMs = undefined;
    if (!frozen && forMs > this.#absentMs) this.backMono = this.clock.now().mono;
    // A process that wakes looks at its timers first; what the kernel had read for it may come before the next of them.
    const timersFirst = this.#chance.happens(0.7);
    const inOrder = timersFirst ? [...held.filter((one) => one.isTimer), ...held.filter((one) => !one.isTimer)] : held;
    for (const { act } of inOrder) this.#schedule.after(0, () => this.run(act));
  }
}
