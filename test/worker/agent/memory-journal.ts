import type { JournalMeta, JournalWrite, LedgerEntry, StoredReport } from "../../../worker/agent/records.ts";

export const journalId = "journal00001";

/** What of the journal a restart finds again. */
export class MemoryJournal {
  meta: JournalMeta = { journal: journalId, n: 0, highestTerm: 0, highestAck: 0, nextSeq: 1 };
  readonly entries = new Map<string, LedgerEntry>();
  readonly reports = new Map<number, StoredReport>();

  open(): void {
    const newest = Math.max(0, this.meta.highestAck, ...this.reports.keys());
    this.meta = { ...this.meta, n: this.meta.n + 1, nextSeq: newest + 1 };
  }

  write(writes: readonly JournalWrite[]): void {
    for (const write of writes) {
      switch (write.write) {
        case "meta":
          this.meta = { ...this.meta, ...write.set };
          break;
        case "entry":
          this.entries.set(write.entry.attempt, structuredClone(write.entry));
          break;
        case "report":
          if (this.reports.has(write.report.seq)) throw new Error(`seq ${write.report.seq} was written twice`);
          this.reports.set(write.report.seq, write.report);
          break;
        case "acked":
          for (const seq of this.reports.keys()) if (seq <= write.seq) this.reports.delete(seq);
          break;
        case "forget":
          for (const attempt of write.attempts) this.entries.delete(attempt);
          this.meta = { ...this.meta, forgottenSeq: Math.max(this.meta.forgottenSeq ?? 0, write.upTo) };
          break;
        case "unheard":
          this.meta = { ...this.meta, unheardSeq: write.seq };
          break;
      }
    }
  }
}
