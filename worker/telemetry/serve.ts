/** The worker's metrics port: one page, for whoever may reach the address that the configuration names. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { isLoopback } from "../../broker/config.ts";
import type { Log } from "../../schema/kit/log.ts";
import { firstFormat } from "../../schema/kit/metrics/formats.ts";
import type { Exposition } from "../../schema/kit/metrics/exposition.ts";
import { metricLimits } from "../../schema/limits/metrics.ts";

export interface MetricsServer extends AsyncDisposable {
  readonly port: number;
}

/** Listens; rejects with a sentence that names the setting when it cannot. */
export async function serveMetrics(
  exposition: Pick<Exposition, "text">,
  options: { readonly host: string; readonly port: number; readonly log: Log },
): Promise<MetricsServer> {
  const { host, log } = options;
  const server = createServer({ headersTimeout: metricLimits.headersTimeoutMs, noDelay: true }, (request, response) => {
    const path = request.url?.split("?", 1)[0];
    if (path !== "/metrics" || (request.method !== "GET" && request.method !== "HEAD")) {
      response.writeHead(404, { "content-type": "text/plain; charset=utf-8" }).end("GET /metrics is all there is\n");
      return;
    }
    exposition.text(firstFormat(request.headers.accept)).then(
      ({ contentType, body }) =>
        response
          .writeHead(200, { "content-type": contentType, "cache-control": "no-store", "x-content-type-options": "nosniff" })
          .end(request.method === "HEAD" ? undefined : body),
      (error: unknown) => {
        log.error({ err: error }, "the metrics could not be read");
        response.writeHead(500).end();
      },
    );
  });
  server.maxConnections = metricLimits.connections;
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  if (isLoopback(host)) log.info({ host, port }, "metrics are given");
  else log.warn({ host, port }, "metrics are given without TLS and to everybody who reaches this address");
  return {
    port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(
  server: Server,
  { host, port, log }: { readonly host: string; readonly port: number; readonly log: Log },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why =
        error.code === "EADDRINUSE"
          ? "another program listens there; set MUSTER_METRICS_PORT to a free port"
          : `${error.message}; see MUSTER_METRICS_HOST and MUSTER_METRICS_PORT`;
      reject(new Error(`metrics cannot be given on ${host}:${port}: ${why}`, { cause: error }));
    });
    server.listen(port, host, () => {
      server.removeAllListeners("error");
      server.on("error", (error) => log.error({ err: error }, "the metrics port failed"));
      resolve();
    });
  });
}
