/**
 * Events of every pool for whoever listens here: those of pools that are led here as the engines publish them, those of others
 * as they are read from the store. Within a pool none is missed and none comes early, however the lead moves: events are
 * numbered without gaps, and what is missing before an own event is read first.
 */
import { pause } from "../../schema/kit/backoff.ts";
import type { Clock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import { peerLimits } from "../../schema/limits/peers.ts";
import type { EventRecord } from "../control/records.ts";
import type { ReadStore } from "../store/store.ts";
import { untilWoken } from "./wake.ts";

export interface TailDeps {
  readonly store: Pick<ReadStore, "events" | "lastEvents">;
  /** The term under which this manager leads the pool now; undefined while it does not. */
  readonly termOf: (pool: string) => number | undefined;
  /** Number of the newest event that the pool's leader here knows of, committed or not; undefined while this manager does not lead. */
  readonly newestOf: (pool: string) => number | undefined;
  /** True where no other manager writes: then the store is read only to fill what is missing. */
  readonly alone: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

type Listener = (events: readonly EventRecord[]) => void;

/** One stretch of time in which somebody listens. */
interface Watch {
  /** Pool → number of the newest event that was told. */
  readonly told: Map<string, number>;
  /**
   * Pool → the lead of this manager under which everything before it was read. Without that look the last words of the leader before,
   * or of a batch of our own whose outcome nobody knew, would wait for the next own event.
   */
  readonly readUnder: Map<string, number>;
  /** Pool → own events that wait for what came before them. */
  readonly ahead: Map<string, EventRecord[]>;
  readonly ending: AbortController;
  /** Settles when `told` has a place for every pool. */
  begun: Promise<void> | undefined;
  isBegun: boolean;
}

export class EventTail {
  readonly #deps: TailDeps;
  readonly #listeners = new Set<Listener>();
  #watch: Watch | undefined;
  #wake: () => void = () => undefined;
  #poolsMs = 0;
  #backMs = 0;

  constructor(deps: TailDeps) {
    this.#deps = deps;
  }

  /** Called with events as they become known, in order within each pool; `hearing` says from when on. Returns how to stop. */
  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    this.#watch ??= {
      told: new Map(),
      readUnder: new Map(),
      ahead: new Map(),
      ending: new AbortController(),
      begun: undefined,
      isBegun: false,
    };
    return () => {
      if (!this.#listeners.delete(listener) || this.#listeners.size > 0) return;
      this.#watch?.ending.abort();
      this.#watch = undefined;
    };
  }

  /**
   * Resolves when everything that is committed from now on, by whomever, will be told to those that listen now: what was committed
   * before is in the store. Rejects with the store's error.
   */
  async hearing(): Promise<void> {
    const watch = this.#watch;
    if (!watch) return;
    watch.begun ??= this.#begin(watch);
    try {
      await watch.begun;
    } catch (error) {
      watch.begun = undefined;
      throw error;
    }
  }

  /** Events of one pool that an engine of this manager has committed. */
  publish(events: readonly EventRecord[]): void {
    const watch = this.#watch;
    const [first] = events;
    if (!watch || !first) return;
    const { pool } = first;
    const newest = this.#deps.newestOf(pool);
    // While it leads nobody has written more: what was told beyond that went with a database that was taken back.
    if (newest !== undefined && newest < (watch.told.get(pool) ?? 0)) {
      watch.told.set(pool, first.number - 1);
      watch.ahead.delete(pool);
    }
    const waiting = watch.ahead.get(pool);
    if (waiting) {
      // What is dropped is in the store, and is read from there.
      watch.ahead.set(pool, waiting.length + events.length > peerLimits.tailAhead ? [...events] : [...waiting, ...events]);
      return;
    }
    const told = watch.told.get(pool) ?? (watch.isBegun ? 0 : first.number - 1);
    if (first.number <= told + 1) this.#tell(watch, events);
    else {
      watch.ahead.set(pool, [...events]);
      this.#wake();
    }
  }

  async #begin(watch: Watch): Promise<void> {
    const last = await this.#deps.store.lastEvents();
    // An engine may have published meanwhile.
    for (const [pool, number] of Object.entries(last)) watch.told.set(pool, Math.max(number, watch.told.get(pool) ?? 0));
    watch.isBegun = true;
    void this.#follow(watch);
  }

  async #follow(watch: Watch): Promise<void> {
    const { signal } = watch.ending;
    while (!signal.aborted) {
      try {
        if (await this.#read(watch)) continue;
      } catch (error) {
        this.#deps.log.debug({ err: error }, "events of other managers cannot be read; it is tried again");
        await pause(peerLimits.tailPoolsMs, signal);
        continue;
      }
      // Where nobody else writes a look at the store is rare: it is for an engine's own gap, or for a lead that began anew.
      const looks = !this.#deps.alone || watch.ahead.size > 0;
      await untilWoken(
        looks ? peerLimits.tailPollMs : peerLimits.tailPoolsMs,
        { signal, timers: undefined },
        (wake) => (this.#wake = wake),
      );
    }
  }

  /** One page. True when there may be more at once. */
  async #read(watch: Watch): Promise<boolean> {
    const { store, termOf, alone, clock } = this.#deps;
    const after: Record<string, number> = {};
    const terms = new Map<string, number>();
    let wanted = 0;
    for (const [pool, number] of watch.told) {
      const term = termOf(pool);
      const isNewLead = term !== undefined && watch.readUnder.get(pool) !== term;
      if (isNewLead) terms.set(pool, term);
      const reads = watch.ahead.has(pool) || isNewLead || !(alone || term !== undefined);
      after[pool] = reads ? number : Number.MAX_SAFE_INTEGER;
      if (reads) wanted += 1;
    }
    for (const pool of watch.ahead.keys()) {
      if (pool in after) continue;
      after[pool] = 0;
      wanted += 1;
    }
    const nowMs = clock.now().mono;
    // A pool that is new is read from its first event on, without anybody naming it.
    const looksForPools = !alone && nowMs - this.#poolsMs >= peerLimits.tailPoolsMs;
    if (wanted === 0 && !looksForPools) return false;
    this.#poolsMs = nowMs;
    const events = await store.events({ after, limit: peerLimits.tailPage });
    if (watch.ending.signal.aborted) return false;
    if (events.length > 0) this.#tell(watch, events);
    for (const [pool, waiting] of watch.ahead) {
      if ((waiting[0]?.number ?? 0) > (watch.told.get(pool) ?? 0) + 1) continue;
      watch.ahead.delete(pool);
      this.#tell(watch, waiting);
    }
    if (!alone && nowMs - this.#backMs >= peerLimits.tailPoolsMs) {
      this.#backMs = nowMs;
      await this.#lookBack(watch);
    }
    const isMore = events.length === peerLimits.tailPage;
    if (!isMore) for (const [pool, term] of terms) watch.readUnder.set(pool, term);
    return isMore;
  }

  /**
   * Of pools that are led elsewhere: what was told beyond the newest event that is stored went with a database that was taken back, and
   * what comes next has numbers that were told. What comes before this look sees it is told to nobody.
   */
  async #lookBack(watch: Watch): Promise<void> {
    const told = new Map(watch.told);
    const last = await this.#deps.store.lastEvents();
    for (const [pool, number] of told) {
      const newest = last[pool] ?? 0;
      if (newest < number && watch.told.get(pool) === number && this.#deps.termOf(pool) === undefined)
        watch.told.set(pool, newest);
    }
  }

  /** Tells those that were not told yet. */
  #tell(watch: Watch, events: readonly EventRecord[]): void {
    const fresh: EventRecord[] = [];
    for (const event of events) {
      if (event.number <= (watch.told.get(event.pool) ?? 0)) continue;
      watch.told.set(event.pool, event.number);
      fresh.push(event);
    }
    if (fresh.length === 0) return;
    for (const listener of this.#listeners) listener(fresh);
  }
}
