/** Bounds of the metrics. */
export const metricLimits = {
  /** Series of one metric; what would be one more is counted under labels that are all `other`. */
  seriesPerMetric: 5_000,
  /** How finely the event loop's lag is measured; the lags that are shown include this step. */
  eventLoopStepMs: 20,
  /** How long a scraper of a worker may take for its request's headers. */
  headersTimeoutMs: 5_000,
  /** Connections to a worker's metrics port. */
  connections: 20,
} as const;
