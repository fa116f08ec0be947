import { randomInt } from "node:crypto";
import { createServer, type Server } from "node:net";

/**
 * Below what Linux gives out by itself (ip_local_port_range, from 32,768): a port from there could be given to another test's
 * server or client between our look and its use.
 */
const lowest = 12_000;
const beyond = 32_768;

/** Ports of 127.0.0.1 that nobody listens on now; all are held until all are known, so that none is given twice. */
export async function freePorts(count: number): Promise<number[]> {
  const held: { readonly port: number; readonly server: Server }[] = [];
  while (held.length < count) {
    const port = randomInt(lowest, beyond);
    const server = await hold(port);
    if (server) held.push({ port, server });
  }
  await Promise.all(held.map(({ server }) => new Promise((resolve) => server.close(resolve))));
  return held.map(({ port }) => port);
}

/** Undefined when somebody listens there. */
function hold(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
