/** A wire to a broker that can be cut in the middle. */
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface Wire {
  readonly port: number;
  /** Ends what runs over it; what connects next passes again. */
  drop(): void;
  /** Ends what runs over it and takes nothing more. */
  cut(): void;
}

/** Passes bytes on to a port of 127.0.0.1. */
export async function makeWire(to: number): Promise<Wire> {
  const sockets: Socket[] = [];
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: "127.0.0.1", port: to, noDelay: true });
    near.pipe(far).pipe(near);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.push(socket);
      socket.on("error", () => socket.destroy());
      // What it has been given already still arrives, a goodbye for one.
      socket.on("close", () => other.end());
    }
  });
  const drop = (): void => {
    for (const socket of sockets.splice(0)) socket.destroy();
  };
  const cut = (): void => {
    server.close();
    drop();
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, drop, cut };
}
