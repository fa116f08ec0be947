import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { createServer, type Server } from "node:net";

/**
 * Below what Linux gives out by itself (ip_local_port_range, from 32,768): a port from there could be given to another test's
 * server or client between our look and its use.
 */
const lowest = 12_000;
const beyond = 32_768;

/**
 * Ports of 127.0.0.1 that nobody listens on now, and that no test is given again while this process lives, whatever process it
 * is in: also not while the server that has one starts, or is dead for a while.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = randomInt(lowest, beyond);
    if ((await claim(port)) && (await isFree(port))) ports.push(port);
  }
  return ports;
}

/**
 * By the port of the same number in UDP, which no server of ours uses: only one has it, the kernel takes it back when a process
 * ends, however that ends, and TCP is not disturbed.
 */
function claim(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket("udp4").unref();
    socket.once("error", () => {
      socket.close();
      resolve(false);
    });
    socket.bind({ port, address: "127.0.0.1", exclusive: true }, () => resolve(true));
  });
}

/** Whether nobody listens there. */
async function isFree(port: number): Promise<boolean> {
  const server = await listen(port);
  if (server) await new Promise((resolve) => server.close(resolve));
  return server !== undefined;
}

function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
