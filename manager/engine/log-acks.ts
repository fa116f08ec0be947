import { wireLimits } from "../../schema/limits.ts";
import type { DownItem } from "../../schema/messages.ts";

export type LogAck = Extract<DownItem, { readonly kind: "logsAck" }>;

/** By worker. */
export type LogAcksTaken = ReadonlyMap<string, readonly LogAck[]>;

/**
 * Acknowledgements of stored output, which need no decision: they leave with the next batch and its lease check (rule 15).
 * Bounded, because output may be stored while no batch can be committed: of one stream only the newest counts, and what is
 * forgotten is given again when the worker repeats its output.
 */
export class LogAcks {
  #byWorker = new Map<string, Map<string, LogAck>>();

  get size(): number {
    return this.#byWorker.size;
  }

  put(workerId: string, ack: LogAck): void {
    let acks = this.#byWorker.get(workerId);
    if (!acks) this.#byWorker.set(workerId, (acks = new Map()));
    acks.set(`${ack.attempt} ${ack.stream}`, ack);
    if (acks.size <= wireLimits.itemsPerMessage) return;
    const [oldest] = acks.keys();
    if (oldest !== undefined) acks.delete(oldest);
  }

  /** All of them. */
  take(): LogAcksTaken {
    const taken = new Map<string, readonly LogAck[]>();
    for (const [workerId, acks] of this.#byWorker) taken.set(workerId, [...acks.values()]);
    this.#byWorker = new Map();
    return taken;
  }
}
