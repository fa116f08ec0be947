import type { DurableJournal } from "../../worker/agent/held-hello.ts";
import type { JournalMeta, JournalWrite, LedgerEntry, StoredReport } from "../../worker/agent/records.ts";
import type { Product } from "./product.ts";
import type { Chance } from "./seeded.ts";
import type { Trace } from "./trace.ts";

/** What a copy of the journal's file holds. */
export interface JournalCopy {
  readonly meta: JournalMeta;
  readonly entries: ReadonlyMap<string, LedgerEntry>;
  readonly reports: ReadonlyMap<number, StoredReport>;
}

/** A worker's journal: durable when `write` returns, all of it or nothing, as the real one's transactions are. */
export class SimJournal {
  readonly #product: Product;
  readonly #chance: Chance;
  readonly #trace: Trace;
  readonly #name: string;
  #meta: JournalMeta;
  #entries = new Map<string, LedgerEntry>();
  #reports = new Map<number, StoredReport>();
  /** The disk: no room for anything; or only for what the reserve has room for. */
  full: "no" | "reserve" | "yes" = "no";
  /** Told of each entry before it is written. */
  onEntry: (entry: LedgerEntry, before: LedgerEntry | undefined) => void = () => undefined;

  constructor(name: string, ends: { readonly product: Product; readonly chance: Chance; readonly trace: Trace }) {
    this.#name = name;
    this.#product = ends.product;
    this.#chance = ends.chance;
    this.#trace = ends.trace;
    this.#meta = this.#newMeta(0);
  }

  get meta(): JournalMeta {
    return this.#meta;
  }

  get room(): boolean {
    return this.full === "no";
  }

  has(attempt: string, which: (entry: LedgerEntry) => boolean = () => true): boolean {
    const entry = this.#entries.get(attempt);
    return entry !== undefined && which(entry);
  }

  entries(): LedgerEntry[] {
    return [...this.#entries.values()];
  }

  durable(): DurableJournal {
    return { meta: this.#meta, entry: (attempt) => this.#entries.get(attempt) };
  }

  reports(): StoredReport[] {
    return [...this.#reports.values()];
  }

  #newMeta(highestTerm: number): JournalMeta {
    return { journal: this.#chance.twelve(`j${this.#name}-`), n: 0, highestTerm, highestAck: 0, nextSeq: 1 };
  }

  /** One more agent starts on it. */
  open(): void {
    this.#meta = { ...this.#meta, n: this.#meta.n + 1 };
  }

  write(writes: readonly JournalWrite[]): void {
    if (this.full === "yes") throw new this.#product.journal.JournalFull(`the disk of ${this.#name} is full`);
    for (const write of writes) this.#write(write);
  }

  #write(write: JournalWrite): void {
    switch (write.write) {
      case "meta": {
        const { highestTerm = 0, highestAck = 0, nextSeq = 0 } = write.set;
        const { meta } = this;
        this.#meta = {
          ...meta,
          highestTerm: Math.max(meta.highestTerm, highestTerm),
          highestAck: Math.max(meta.highestAck, highestAck),
          nextSeq: Math.max(meta.nextSeq, nextSeq),
        };
        this.#trace.hash(`${this.#name} ${highestTerm} ${highestAck}`);
        return;
      }
      case "entry": {
        const { entry } = write;
        this.onEntry(entry, this.#entries.get(entry.attempt));
        this.#trace.hash(`${this.#name} ${entry.attempt} ${entry.state} ${entry.endSeq} ${entry.end?.how ?? ""}`);
        this.#entries.set(entry.attempt, entry);
        return;
      }
      case "report":
        this.#trace.hash(`${this.#name} ${write.report.seq} ${write.report.body}`);
        this.#reports.set(write.report.seq, write.report);
        this.#meta = { ...this.#meta, nextSeq: Math.max(this.#meta.nextSeq, write.report.seq + 1) };
        return;
      case "acked":
        for (const seq of this.#reports.keys()) if (seq <= write.seq) this.#reports.delete(seq);
        return;
      case "forget":
        for (const attempt of write.attempts) this.#entries.delete(attempt);
        return;
      case "unheard":
        this.#meta = { ...this.#meta, unheardSeq: write.seq };
        return;
    }
  }

  /** Begun anew, as the manager wants it of one that it has given up: what runs is taken along, and the highest term (rules 1, 15). */
  renew(running: readonly LedgerEntry[]): void {
    this.#meta = this.#newMeta(this.#meta.highestTerm);
    this.#entries = new Map(running.map((entry) => [entry.attempt, entry]));
    this.#reports = new Map();
  }

  copy(): JournalCopy {
    return { meta: this.#meta, entries: new Map(this.#entries), reports: new Map(this.#reports) };
  }

  /** Somebody puts a copy of the file in its place. */
  restore(copy: JournalCopy): void {
    this.#meta = copy.meta;
    this.#entries = new Map(copy.entries);
    this.#reports = new Map(copy.reports);
  }
}
