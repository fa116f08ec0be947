/** Bounds of the worker's journal. */
export const journalLimits = {
  /** Writes that wait for the next transaction, because nothing depends on them; then they get one of their own. */
  waitingWrites: 1_000,
} as const;
