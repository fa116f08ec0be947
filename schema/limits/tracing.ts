/** Bounds of tracing, in the manager and in the worker. */
export const tracingLimits = {
  /** Spans that wait to be exported; what comes on top is dropped, counted and said. About 2 KB each. */
  waitingSpans: 8_192,
  /** Spans in one export. Below the SDK's own 512, so that no export begins before it is waited for. */
  spansPerExport: 256,
  /** How long an ended span waits for others. */
  gatherMs: 1_000,
  /** After an export that failed, and twice as long each time. */
  pauseFirstMs: 1_000,
  pauseMaxMs: 30_000,
  /** Trouble is logged at most this often. */
  logMs: 60_000,
  /** What still waits at the end is exported within this, or given up. */
  closeMs: 3_000,
  /** A bulk start of more runs than this gives each run a trace of its own, with a link to the request. */
  runsPerTrace: 32,
  /** Runs between two attempts of which the beginning of the wait is remembered. */
  waitingRetries: 10_000,
  /** Attempts named on one span. */
  namedOnSpan: 20,
  /** Characters of a client's path, query or program name on a span. */
  textChars: 1_000,
} as const;
