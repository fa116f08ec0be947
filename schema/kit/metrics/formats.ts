/** Media types in which metrics can be given: Prometheus' own text format, and OpenMetrics 1.0. */
export const metricFormats = ["text/plain", "application/openmetrics-text"] as const;
export type MetricFormat = (typeof metricFormats)[number];
