/** Who leads which pool, as far as this manager knows: of pools that it serves from its engines, of others from the store. */
import type { Clock } from "../../schema/kit/clock.ts";
import { peerLimits } from "../../schema/limits/peers.ts";
import type { PoolEngine } from "../engine/engine.ts";
import type { LeaderStore, LeaseRow } from "../store/store.ts";
import { parseHolder, type Holder } from "./holder.ts";

export interface BookDeps {
  /** This manager's name, as in its leases. */
  readonly name: string;
  readonly engines: ReadonlyMap<string, Pick<PoolEngine, "lead" | "lease">>;
  readonly store: Pick<LeaderStore, "readLease">;
  readonly clock: Clock;
}

/** `nobody`: the pool's lease is free, or this manager has it and is not ready yet, or there is no such pool (`exists`). */
export type Leader =
  | { readonly kind: "here" }
  | { readonly kind: "elsewhere"; readonly term: number; readonly holder: Holder }
  | { readonly kind: "nobody"; readonly exists: boolean };

export class LeaderBook {
  readonly #deps: BookDeps;
  readonly #read = new Map<string, { readonly atMs: number; readonly row: Promise<LeaseRow | null> }>();

  constructor(deps: BookDeps) {
    this.#deps = deps;
  }

  /** Who leads the pool now. Rejects with the store's error when it had to be asked and is in trouble. */
  async of(pool: string): Promise<Leader> {
    const known = this.known(pool);
    return known ?? this.#leaderOf(await this.#readLease(pool));
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
    return this.#leaderOf(await this.#deps.store.readLease(pool));
  }

  #leaderOf(row: LeaseRow | null): Leader {
    const holder = row && parseHolder(row.holder);
    if (!row || !holder || holder.name === this.#deps.name) return { kind: "nobody", exists: row !== null };
    return { kind: "elsewhere", term: row.term, holder };
  }

  async #readLease(pool: string): Promise<LeaseRow | null> {
    const nowMs = this.#deps.clock.now().mono;
    const kept = this.#read.get(pool);
    if (kept && nowMs - kept.atMs < peerLimits.leaseKeptMs) return await kept.row;
    // Names come from clients; only those of pools that are there are worth a place.
    for (const [name, { atMs }] of this.#read) if (nowMs - atMs >= peerLimits.leaseKeptMs) this.#read.delete(name);
    const row = this.#deps.store.readLease(pool);
    this.#read.set(pool, { atMs: nowMs, row });
    row.catch(() => this.#read.delete(pool));
    return await row;
  }
}
