/** Bounds of `muster doctor`: it is used when half of the system is down, so nothing of it may wait or look for long. */
export const doctorLimits = {
  /** One check, whatever it waits for. */
  checkMs: 15_000,
  /** One request to the API, one connection to the broker, the first answer of the database. */
  answerMs: 5_000,
  /** Pages of 200 that are read of workers, and of runs that have not ended. */
  pages: 10,
  /** Things of one kind that are named; the rest are counted. */
  named: 10,
  /** A worker's clock that is off by more is worth a word; nothing that Muster decides hangs on it. */
  clockSkewMs: 2_000,
  /** Free space of a data folder: below the first it is a failure, below the second a warning. */
  diskFailBytes: 67_108_864,
  diskWarnBytes: 1_073_741_824,
} as const;
