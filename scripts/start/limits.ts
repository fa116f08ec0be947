/** Bounds of `npm start`, the parent of a manager and a worker. */
export const startLimits = {
  /** One log file of a child; then it is set aside and the oldest is dropped. */
  logFileBytes: 16_777_216,
  /** Files of one child's log, the one that is written included. */
  logFiles: 4,
  restartFirstMs: 1_000,
  restartMaxMs: 30_000,
  /** A child that lived this long begins its backoff anew. */
  steadyMs: 60_000,
  /** How long the output of a child that ended is waited for. */
  lastWordsMs: 500,
  /** How long the manager and then the worker may take to be ready. */
  readyMs: 60_000,
  /** How long the demo waits for somebody else's database and broker, how often it looks, and how long it tidies up there. */
  elsewhereMs: 5_000,
  elsewhereLookMs: 50,
  forgetStatusMs: 5_000,
} as const;
