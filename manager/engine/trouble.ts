import type { Clock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import { managerLimits } from "../../schema/limits.ts";
import type { EngineWatch } from "./watch.ts";

/** The store's trouble, from the first try that failed until one holds. */
export interface Trouble {
  readonly sentence: string;
  readonly sinceWall: number;
}

/** Remembers the trouble that a store is in, and logs its beginning, its changes at most now and then, and its end. */
export class TroubleBook {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #pool: string;
  readonly #watch: EngineWatch | undefined;
  #trouble: Trouble | undefined;
  #sinceMono = 0;
  #loggedMono = 0;
  #tries = 0;

  constructor(deps: {
    readonly clock: Clock;
    readonly log: Log;
    readonly pool: string;
    readonly watch: EngineWatch | undefined;
  }) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#pool = deps.pool;
    this.#watch = deps.watch;
  }

  get now(): Trouble | undefined {
    return this.#trouble;
  }

  /** One more try has failed. */
  say(sentence: string): void {
    const now = this.#clock.now();
    const before = this.#trouble;
    this.#tries += 1;
    this.#watch?.storeFailed?.(this.#pool);
    if (!before) this.#sinceMono = now.mono;
    this.#trouble = { sentence, sinceWall: before?.sinceWall ?? now.wall };
    if (before && (before.sentence === sentence || now.mono - this.#loggedMono < managerLimits.troubleLogMs)) return;
    this.#loggedMono = now.mono;
    this.#log.error({ pool: this.#pool, sentence }, "the store is in trouble; it is tried again");
  }

  /** A try has held. */
  over(): void {
    if (!this.#trouble) return;
    const durationMs = Math.round(this.#clock.now().mono - this.#sinceMono);
    this.#log.warn({ pool: this.#pool, durationMs, failedTries: this.#tries }, "the store works again");
    this.#trouble = undefined;
    this.#tries = 0;
  }
}
