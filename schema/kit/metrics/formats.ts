/** Media types in which metrics can be given: Prometheus' own text format, and OpenMetrics 1.0. */
export const metricFormats = ["text/plain", "application/openmetrics-text"] as const;
export type MetricFormat = (typeof metricFormats)[number];

/** The first of them that an `Accept` header names, text when it names none: every scraper that asks can read what it names. */
export function firstFormat(accept: string | undefined): MetricFormat {
  const named = (accept ?? "").split(",").map((part) => part.split(";", 1)[0]?.trim().toLowerCase());
  return (
    metricFormats.find((format) => format === named.find((name) => metricFormats.some((known) => known === name))) ?? "text/plain"
  );
}
