/** Metrics as text. Not for code that is loaded in any case: prom-client costs 20 MB and 50 ms, measured. */
import { collectDefaultMetrics, Registry, type Metric, type OpenMetricsContentType } from "prom-client";
import { metricLimits } from "../../limits/metrics.ts";
import type { Family, MetricSpec, MetricType } from "./families.ts";
import type { MetricFormat } from "./formats.ts";

export interface Exposition {
  /** Everything, in Prometheus' own format or in OpenMetrics 1.0. */
  text(format: MetricFormat): Promise<{ readonly contentType: string; readonly body: string }>;
  /** What there is, for docs/metrics.md. */
  readonly specs: readonly MetricSpec[];
}

/** What the library reads of a metric; its own aggregated metrics are such objects too (AggregatorRegistry.aggregate). */
interface Shown {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator: string;
  get(): Promise<{ readonly name: string; readonly help: string; readonly type: string; readonly values: readonly unknown[] }>;
}

/** Gauges of the library whose names end in `_total`, as only a counter's may; their sums say nothing that the parts do not. */
const misnamed = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"];

/** What the library measures of this process, from the first time on that it is asked for: two of its meters could never be stopped. */
let ofProcess: Registry | undefined;

function processMetrics(): readonly Metric[] {
  if (!ofProcess) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess, eventLoopMonitoringPrecision: metricLimits.eventLoopStepMs });
    for (const name of misnamed) ofProcess.removeSingleMetric(name);
  }
  return ofProcess.getMetricsAsArray() as unknown as readonly Metric[];
}

/** Shows the families, and how this process is. */
export function expose(families: readonly Family[]): Exposition {
  const plain = new Registry();
  for (const family of families) plain.registerMetric(metricOf(shownOf(family)));
  for (const metric of processMetrics()) plain.registerMetric(metric);
  const open = openMetricsOf(plain);
  return {
    async text(format) {
      const registry = format === "application/openmetrics-text" ? open : plain;
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
    specs: [...families.map(({ spec }) => spec), ...promClientSpecs(plain, families)],
  };
}

/** A registry's own metrics lose the end of their names when it speaks OpenMetrics; so it gets others, which read the first. */
function openMetricsOf(plain: Registry): Registry<OpenMetricsContentType> {
  const open = new Registry<OpenMetricsContentType>();
  open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  for (const metric of plain.getMetricsAsArray() as unknown as readonly Shown[]) {
    const { name, help, type, aggregator } = metric;
    const shown: Shown = {
      name,
      help,
      type,
      aggregator,
      // Counters end in `_total` in their samples, not in their name.
      get: async () => ({ ...(await metric.get()), name: type === "counter" ? name.replace(/_total$/, "") : name }),
    };
    open.registerMetric(metricOf(shown));
  }
  return open;
}

function shownOf(family: Family): Shown {
  const { name, help, type } = family.spec;
  return {
    name,
    help,
    type,
    aggregator: "sum",
    get: async () => ({
      name,
      help,
      type,
      values: family.samples().map(({ labels, value, suffix }) => ({
        labels,
        value,
        ...(suffix === undefined ? {} : { metricName: `${name}${suffix}` }),
      })),
    }),
  };
}

/** The types of prom-client know only its own classes. */
function metricOf(shown: Shown): Metric {
  return shown as unknown as Metric;
}

/** Of what prom-client itself says of the process. */
function promClientSpecs(plain: Registry, ours: readonly Family[]): MetricSpec[] {
  const own = new Set(ours.map(({ spec }) => spec.name));
  return (plain.getMetricsAsArray() as unknown as (Shown & { readonly labelNames?: readonly string[] })[])
    .filter(({ name }) => !own.has(name))
    .map(({ name, help, type, labelNames }) => ({ name, help, type: type as MetricType, labels: labelNames ?? [] }));
}
