import type { LogStore } from "../../manager/store/logstore.ts";
import type { Batch, CommitResult, LeaderStore, LeaseRow, ReadStore, Store, StoreError } from "../../manager/store/store.ts";
import type { Counters } from "./counters.ts";
import { leaseTiming } from "./lease-timing.ts";
import type { Weather } from "./plan.ts";
import type { Product } from "./product.ts";
import type { Schedule } from "./schedule.ts";
import type { Chance } from "./seeded.ts";
import type { Trace } from "./trace.ts";
import type { Witness } from "./witness.ts";

/** The process that asks: what comes back reaches it only while it lives, and when it is awake. */
export interface Asker {
  readonly name: string;
  run(act: () => void): void;
  /** Its way to the database is cut. */
  cutFromDatabase: boolean;
}

export interface DatabaseEnds {
  readonly product: Product;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly counters: Counters;
  readonly trace: Trace;
  readonly witness: Witness;
  /** A batch holds, now. */
  readonly committed: (asker: Asker, batch: Batch) => void;
  readonly tookLease: (asker: Asker) => void;
  /** Why the rows of this batch can never be, if so. */
  readonly refuses: (batch: Batch) => string | undefined;
}

type StoreWeather = Pick<Weather, "storeFails" | "storeLies" | "storeLate" | "storeSlow">;
export const calm: StoreWeather = { storeFails: 0, storeLies: 0, storeLate: 0, storeSlow: 0 };

/** What a server does with a call. `lies`: done, and the answer is lost. `late`: given up by the client, and done after that. */
type Fate = "answers" | "deadlock" | "fails" | "lies" | "late";

const writeTimeoutMs = 3_000;
/** At most: how long a row stays locked. */
const rowLockedMs = 600;

/**
 * One database for all managers, as MariaDB behaves under rule 17: the memory store's tables, a lease row that each commit
 * advances under its term, and a network between them and whoever asks. What was sent is done even if its sender is dead.
 */
export class SimDatabase {
  readonly base: Store;
  readonly logs: LogStore;
  readonly #ends: DatabaseEnds;
  weather: StoreWeather = calm;
  downUntilMs = 0;
  /** Until then somebody's idle transaction holds the lease row: rule 17 bounds it. */
  #lockedUntilMs = 0;
  /** When the lease row changed last. */
  #movedMs = 0;
  /** The term of the lease row. */
  term = 0;
  batch = 0;
  #holder = "";
  /** Where an OS lock is the lease, as with the tables of the memory store, none moves. */
  #beat = 0;

  constructor(ends: DatabaseEnds) {
    this.#ends = ends;
    this.base = ends.product.memory.openMemoryStore();
    this.logs = ends.product.logs.openMemoryLogs();
  }

  /** The verbs of a leader, over the network. */
  clientOf(asker: Asker): LeaderStore {
    const { base } = this;
    return {
      leaseIsLock: false,
      readLease: (pool) => this.#ask(asker, "answers", async () => this.#row(await base.readLease(pool))),
      takeLease: (pool, holder, seen, aboveTerm) =>
        this.#ask(asker, this.#fate(), async () => {
          if (seen && seen.beat !== this.#beat) return null;
          return this.#taken(asker, this.#row(await base.takeLease(pool, holder, seen && { ...seen, beat: 0 }, aboveTerm)));
        }),
      renewLease: (pool, term) =>
        this.#ask(asker, this.#fate(), async () => {
          const isOurs = await base.renewLease(pool, term);
          if (isOurs) {
            this.#beat += 1;
            this.#movedMs = this.#ends.schedule.nowMs;
          }
          return isOurs;
        }),
      releaseLease: (pool, term) =>
        this.#ask(asker, this.#fate(), async () => {
          if (term === this.term) {
            this.#ends.counters.happened("a lease was given back");
            this.#holder = "";
          }
          await base.releaseLease(pool, term);
        }),
      loadLive: (pool) => this.#ask(asker, "answers", () => base.loadLive(pool)),
      load: (pool, needs) => this.#ask(asker, "answers", () => base.load(pool, needs)),
      commit: (batch) => {
        const fate = this.#fate();
        return this.#ask(asker, fate, () => this.#commit(asker, batch, fate));
      },
    };
  }

  /** Where output goes, over the same network. */
  logsOf(asker: Asker): { readonly logs: LogStore; readonly store: Pick<ReadStore, "attempt"> } {
    const { logs } = this;
    return {
      logs: { ...logs, append: (...piece) => this.#ask(asker, this.#fate(), () => logs.append(...piece)) },
      store: { attempt: (id) => this.#ask(asker, "answers", () => this.base.attempt(id)) },
    };
  }

  /** One look at committed state, over the network. */
  read<T>(asker: Asker, look: (store: ReadStore) => Promise<T>): Promise<T> {
    return this.#ask(asker, "answers", () => look(this.base));
  }

  #row(row: LeaseRow | null): LeaseRow | null {
    return row && { ...row, beat: this.#beat };
  }

  #taken(asker: Asker, row: LeaseRow | null): LeaseRow | null {
    if (row) {
      this.#mustHaveStood(asker, row.holder);
      this.#movedMs = this.#ends.schedule.nowMs;
      if (row.holder === this.#holder) this.#ends.counters.happened("a batch was refused for good and salvaged");
      this.#holder = row.holder;
      this.term = row.term;
      this.batch = row.batch;
      this.#ends.tookLease(asker);
      this.#ends.trace.hash(`lease ${row.term} ${row.holder}`);
      this.#ends.trace.tell(() => `${asker.name} takes the lease, term ${row.term}`);
    }
    return row;
  }

  /** Rule 18: nobody takes the lease from one that has just used it. */
  #mustHaveStood(asker: Asker, holder: string): void {
    const stillMs = this.#ends.schedule.nowMs - this.#movedMs;
    if (this.#holder === "" || this.#holder === holder || stillMs >= leaseTiming.leaseStillMs) return;
    this.#ends.witness.violated(`${asker.name} takes the lease of ${this.#holder}, which moved it ${stillMs} ms ago (rule 18)`);
  }

  async #commit(asker: Asker, batch: Batch, fate: Fate): Promise<CommitResult> {
    const { counters, committed, refuses, trace, schedule } = this.#ends;
    if (schedule.nowMs < this.#lockedUntilMs) throw this.#error("transient", true, "a row is locked");
    // The lease is looked at first: of an old leader's rows the server never says anything (rule 17).
    const ours = batch.term === this.term && batch.batch === this.batch + 1;
    const why = ours ? refuses(batch) : undefined;
    if (why !== undefined) throw this.#error("permanent", true, why);
    const result = await this.base.commit(batch);
    if (result === "applied") {
      this.batch = batch.batch;
      this.#movedMs = schedule.nowMs;
      committed(asker, batch);
      return result;
    }
    if (batch.term < this.term) counters.happened("a deposed leader's commit changed nothing");
    else if (fate === "late") counters.happened("a commit landed late and changed nothing");
    else if (batch.batch === this.batch) counters.happened("a commit whose answer was lost was found done");
    trace.tell(() => `batch ${batch.batch} of term ${batch.term} by ${asker.name} changes nothing`);
    return result;
  }

  #fate(): Fate {
    const { chance } = this.#ends;
    const { storeFails, storeLies, storeLate } = this.weather;
    const drawn = chance.next();
    if (drawn < storeFails / 2) return "deadlock";
    if (drawn < storeFails) return "fails";
    if (drawn < storeFails + storeLies) return "lies";
    return drawn < storeFails + storeLies + storeLate ? "late" : "answers";
  }

  /** One call: there, done, and back. */
  #ask<T>(asker: Asker, fate: Fate, work: () => Promise<T>): Promise<T> {
    const { schedule, chance } = this.#ends;
    const slowMs = chance.happens(this.weather.storeSlow) ? chance.between(500, 6_000) : 0;
    return new Promise<T>((resolve, reject) => {
      const back = (settle: () => void, afterMs = chance.between(0, 2)): void =>
        void schedule.after(afterMs, () =>
          asker.run(() => {
            schedule.unsettled = true;
            settle();
          }),
        );
      const fail = (known: boolean, why: string, afterMs?: number): void =>
        back(() => reject(this.#error("transient", known, why)), afterMs);
      // What was written on a connection that is cut may have arrived, as far as its writer can tell.
      if (asker.cutFromDatabase) return fail(chance.happens(0.5), "the database cannot be reached", chance.pick([1, 1_000]));
      schedule.after(chance.between(0, 2) + (fate === "answers" ? slowMs : 0), () => {
        // It went away with the call: nobody knows.
        if (schedule.nowMs < this.downUntilMs) return fail(chance.happens(0.5), "the server has gone away");
        if (fate === "deadlock") {
          this.#lockedUntilMs = schedule.nowMs + chance.between(0, rowLockedMs);
          return fail(true, "a row is locked");
        }
        if (fate === "fails") return fail(false, "the connection is broken");
        if (fate === "late") {
          fail(false, "no answer in time", writeTimeoutMs);
          schedule.after(writeTimeoutMs + chance.between(0, 6_000), () => this.#do(work, undefined));
          return;
        }
        this.#do(work, (outcome) => {
          if (fate === "lies") return fail(false, "the connection is broken");
          back(() => ("error" in outcome ? reject(outcome.error) : resolve(outcome.value)));
        });
      });
    });
  }

  #do<T>(work: () => Promise<T>, done: ((outcome: { value: T } | { error: Error }) => void) | undefined): void {
    this.#ends.schedule.unsettled = true;
    work().then(
      (value) => done?.({ value }),
      (error: unknown) => done?.({ error: error instanceof Error ? error : new Error(String(error)) }),
    );
  }

  #error(kind: StoreError["kind"], known: boolean, why: string): StoreError {
    return new this.#ends.product.store.StoreError(kind, known, why);
  }
}
