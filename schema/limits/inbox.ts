/** What of its workers' messages a manager holds until they are committed or stored (rule 16). */
import { wireLimits } from "../limits.ts";

export const inboxLimits = {
  /** Bytes of one worker's reports: what it keeps on the wire, and the same again when it has sent that once more. */
  reportBytes: 2 * wireLimits.unackedReportBytes,
  /** Bytes of the parts of one worker's newest hello. */
  helloBytes: 40 * wireLimits.payloadBytes,
  /** Statuses of one worker. */
  statuses: 20,
  /**
   * Messages with output of one worker; what comes after is dropped and, being unacknowledged, comes again. A worker keeps fewer on the
   * wire (`workerLimits.logStreamsInFlight` and `logInFlightBytes`).
   */
  outputs: 32,
  /** Streams of one worker that are stored side by side: each waits for the disk, and a slow one must not be waited for by all. */
  outputStreams: 4,
  /** Characters of output for all workers together. */
  outputChars: 67_108_864,
  /** Attempts of which it is remembered whose output is theirs. */
  outputOwners: 10_000,
} as const;
