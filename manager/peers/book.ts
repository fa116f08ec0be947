/** Who leads which pool, as far as this manager knows: of pools that it serves from its engines, of others from the store. */
import { patience } from "../../schema/kit/backoff.ts";
import type { Clock } from "../../schema/kit/clock.ts";
import { peerLimits } from "../../schema/limits/peers.ts";
import type { PoolEngine } from "../engine/engine.ts";
import { StoreError, type LeaderStore, type LeaseRow } from "../store/store.ts";
import { parseHolder, type Holder } from "./holder.ts";

export interface BookDeps {
  /** This manager's name, as in its leases. */
  readonly name: string;
  readonly engines: ReadonlyMap<string, Pick<PoolEngine, "lead" | "lease">>;
  readonly store: Pick<LeaderStore, "readLease">;
  readonly clock: Clock;
  /** How long the store may take to say who leads; `peerLimits.lookMs` when not said. */
  readonly lookMs?: number;
}

/** A look at the store. `isOver` from its answer on. */
interface Look {
  readonly atMs: number;
  readonly row: Promise<LeaseRow | null>;
  isOver: boolean;
}

/** `nobody`: the pool's lease is free, or this manager has it and is not ready yet, or there is no such pool (`exists`). */
export type Leader =
  | { readonly kind: "here" }
  | { readonly kind: "elsewhere"; readonly term: number; readonly holder: Holder }
  | { readonly kind: "nobody"; readonly exists: boolean };

export class LeaderBook {
  readonly #deps: BookDeps;
  readonly #looks = new Map<string, Look>();

  constructor(deps: BookDeps) {
    this.#deps = deps;
  }

  /** Who leads the pool now. Rejects with the store's error when it had to be asked and is in trouble. */
  async of(pool: string): Promise<Leader> {
    const known = this.known(pool);
    return known ?? this.#leaderOf(await this.#inTime(pool, this.#look(pool)));
  }

  /** The same without asking the store; undefined for a pool that this manager does not serve, or has not looked at yet. */
  known(pool: string): Leader | undefined {
    const engine = this.#deps.engines.get(pool);
    if (engine?.lead) return { kind: "here" };
    return engine?.lease === undefined ? undefined : this.#leaderOf(engine.lease);
  }

  /** Looks at the store itself: what was known has proved wrong. */
  async fresh(pool: string): Promise<Leader> {
    if (this.#deps.engines.get(pool)?.lead) return { kind: "here" };
    return this.#leaderOf(await this.#inTime(pool, this.#deps.store.readLease(pool)));
  }

  #leaderOf(row: LeaseRow | null): Leader {
    const holder = row && parseHolder(row.holder);
    if (!row || !holder || holder.name === this.#deps.name) return { kind: "nobody", exists: row !== null };
    return { kind: "elsewhere", term: row.term, holder };
  }

  async #look(pool: string): Promise<LeaseRow | null> {
    const nowMs = this.#deps.clock.now().mono;
    const isKept = (look: Look): boolean => !look.isOver || nowMs - look.atMs < peerLimits.leaseKeptMs;
    const kept = this.#looks.get(pool);
    if (kept && isKept(kept)) return await kept.row;
    // Names come from clients; only those of pools that are there are worth a place.
    for (const [name, look] of this.#looks) if (!isKept(look)) this.#looks.delete(name);
    const look: Look = { atMs: nowMs, row: this.#deps.store.readLease(pool), isOver: false };
    this.#looks.set(pool, look);
    look.row.then(
      () => (look.isOver = true),
      () => this.#looks.delete(pool),
    );
    return await look.row;
  }

  /** A database that hangs is found out by whoever leads or waits to; who only asks need not wait for as long as a read may take. */
  async #inTime(pool: string, row: Promise<LeaseRow | null>): Promise<LeaseRow | null> {
    const lookMs = this.#deps.lookMs ?? peerLimits.lookMs;
    const enough = new AbortController();
    const late = patience(lookMs, enough.signal).then(() => "late" as const);
    try {
      const read = await Promise.race([row, late]);
      if (read !== "late") return read;
      throw new StoreError("transient", true, `The database does not say within ${lookMs} ms who leads the pool ${pool}.`);
    } finally {
      enough.abort();
    }
  }
}
