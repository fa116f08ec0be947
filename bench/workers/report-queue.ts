/** The reports of one simulated worker that no ack covers yet: bounded on the wire, in messages that fit (rule 16). */
import { wireLimits } from "../../schema/limits.ts";
import type { Report } from "../../schema/messages.ts";

/** Room that the envelope takes of a message of reports. */
const envelopeBytes = 512;

export interface Queued {
  readonly report: Report;
  readonly run: string;
  readonly text: string;
}

export class ReportQueue {
  /** In order of seq; those before `#sent` are on the wire. */
  #items: Queued[] = [];
  #sent = 0;
  #onWireBytes = 0;
  nextSeq = 1;
  highestAck = 0;
  #ackAtLook = 0;

  add(run: string, report: Omit<Report, "seq">): void {
    const numbered = { seq: this.nextSeq, ...report };
    this.nextSeq += 1;
    this.#items.push({ report: numbered, run, text: JSON.stringify(numbered) });
  }

  get items(): readonly Queued[] {
    return this.#items;
  }

  get firstUnackedSeq(): number {
    return this.#items[0]?.report.seq ?? this.nextSeq;
  }

  /** Forgets what the ack covers; returns how many ends that were. */
  acknowledge(seq: number): number {
    if (seq <= this.highestAck) return 0;
    this.highestAck = seq;
    let covered = 0;
    let ends = 0;
    for (let item = this.#items[0]; item && item.report.seq <= seq; item = this.#items[covered]) {
      covered += 1;
      if (item.report.kind === "end") ends += 1;
      if (covered <= this.#sent) this.#onWireBytes -= item.text.length + 1;
    }
    this.#items = this.#items.slice(covered);
    this.#sent = Math.max(0, this.#sent - covered);
    return ends;
  }

  /** What may go on the wire now, message by message, each the texts of its items. It counts as sent from here on. */
  *messages(): Generator<readonly string[]> {
    let batch: string[] = [];
    let batchBytes = 0;
    for (let item = this.#items[this.#sent]; item; item = this.#items[this.#sent]) {
      const size = item.text.length + 1;
      if (this.#onWireBytes + size > wireLimits.unackedReportBytes) break;
      if (batch.length === wireLimits.itemsPerMessage || batchBytes + size > wireLimits.payloadBytes - envelopeBytes) {
        yield batch;
        batch = [];
        batchBytes = 0;
      }
      batch.push(item.text);
      batchBytes += size;
      this.#onWireBytes += size;
      this.#sent += 1;
    }
    if (batch.length > 0) yield batch;
  }

  /** No ack since the last look: what is on the wire counts as lost. Returns how many reports that are. */
  giveUpOnWire(): number {
    const stands = this.#sent > 0 && this.#ackAtLook === this.highestAck;
    this.#ackAtLook = this.highestAck;
    if (!stands) return 0;
    const lost = this.#sent;
    this.#sent = 0;
    this.#onWireBytes = 0;
    return lost;
  }
}
