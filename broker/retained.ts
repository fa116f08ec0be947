/** What aedes looks up for a new subscription among the messages that it retains. */
import { Readable } from "node:stream";
import { filtersOverlap } from "./access.ts";

/** The part of aedes' persistence that is asked. */
export interface RetainedLookup {
  createRetainedStreamCombi(filters: string[]): Readable;
}

/**
 * Lets it look only for filters that a status can match, because nothing else is retained here (access.ts). aedes tries each
 * filter on every retained message: with one status of each worker and one filter of each worker, ten thousand that join would
 * cost ten thousand times ten thousand tries, 25 ms of this thread for each of them.
 */
export function lookForStatusesOnly(persistence: RetainedLookup, prefix: string): void {
  const look = persistence.createRetainedStreamCombi.bind(persistence);
  const anyStatus = `${prefix}/v1/+/+/up/status`;
  persistence.createRetainedStreamCombi = (filters) => {
    const worth = filters.filter((filter) => filtersOverlap(filter, anyStatus));
    return worth.length === 0 ? Readable.from([]) : look(worth);
  };
}
