/** What Prometheus reads. It takes a token: names of pools and routes, and how much is done, are nobody else's business. */
import { metricFormats } from "../../schema/kit/metrics/formats.ts";
import { preferred } from "./accept.ts";
import { route, type AnyRoute } from "./route.ts";

const getMetrics = route(
  {
    method: "get",
    path: "/metrics",
    operationId: "getMetrics",
    tag: "metrics",
    summary: "Counts, gauges and histograms of this manager",
    description:
      "In Prometheus' text format, or in OpenMetrics 1.0 by `Accept`. docs/metrics.md has every metric. Gauges of a pool are given by the manager that leads it.",
    permission: "metrics:read",
    replies: {
      200: {
        description: "one line for each series",
        content: Object.fromEntries(metricFormats.map((format) => [format, "lines of name{labels} value"])),
      },
    },
    problems: ["not-acceptable"],
  },
  async ({ parts, header }) => {
    const { contentType, body } = await parts.metrics.text(preferred(header("accept"), metricFormats));
    return { status: 200, headers: { "content-type": contentType }, body };
  },
);

export const metricRoutes: readonly AnyRoute[] = [getMetrics];
