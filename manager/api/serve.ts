/** The API on a port. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { apiLimits } from "../../schema/limits.ts";
import type { Log } from "../../schema/kit/log.ts";
import type { PeerDoor } from "../peers/door.ts";
import type { Api } from "./app.ts";

export interface ApiServer {
  readonly port: number;
  /** Takes no more, ends streams, lets requests in flight finish within `apiLimits.closeMs`, then cuts the rest. */
  close(): Promise<void>;
}

/** Listens; resolves when it does. Rejects with a sentence that names the setting when the port cannot be had. */
export async function serveApi(
  api: Api,
  options: { readonly host: string; readonly port: number; readonly log: Log; readonly door?: PeerDoor | undefined },
): Promise<ApiServer> {
  const server = createAdaptorServer({
    fetch: (request) => options.door?.answer(request) ?? api.fetch(request),
    serverOptions: {
      // Without it an answer of two writes waits for the client's delayed ack: 20 ms instead of 0.4 ms.
      noDelay: true,
      maxHeaderSize: apiLimits.headerBytes,
      headersTimeout: apiLimits.headersTimeoutMs,
      requestTimeout: apiLimits.requestTimeoutMs,
      keepAliveTimeout: apiLimits.keepAliveTimeoutMs,
      // How soon the two timeouts above are noticed.
      connectionsCheckingInterval: 5_000,
    },
  }) as Server;
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(listenError(error, options)));
    server.listen(options.port, options.host, resolve);
  });
  server.on("error", (error) => options.log.error({ err: error }, "the HTTP server failed"));
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      api.endStreams();
      // A connection whose last answer ends after close() stays open, idle, until somebody sees to it.
      const sweep = setInterval(() => server.closeIdleConnections(), apiLimits.closeSweepMs);
      const cut = setTimeout(() => server.closeAllConnections(), apiLimits.closeMs);
      await closed;
      clearInterval(sweep);
      clearTimeout(cut);
    },
  };
}

function listenError(error: NodeJS.ErrnoException, { host, port }: { readonly host: string; readonly port: number }): Error {
  const why: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} on ${host} is taken by another program; set MUSTER_HTTP_PORT to a free one`,
    EACCES: `port ${port} needs rights that this user has not; set MUSTER_HTTP_PORT to one above 1023`,
    EADDRNOTAVAIL: `this host has no address ${host}; set MUSTER_HTTP_HOST to one it has, such as 127.0.0.1`,
    ENOTFOUND: `${host} is no address of this host; set MUSTER_HTTP_HOST to one, such as 127.0.0.1`,
  };
  return new Error(why[error.code ?? ""] ?? `cannot listen on ${host}:${port}: ${error.message}`, { cause: error });
}
