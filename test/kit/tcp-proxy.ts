import { connect, createServer, type Server, type Socket } from "node:net";
import { freePorts } from "./ports.ts";

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/**
 * A network that lies between a client and a server on this host: it can hold bytes back and let them go later, fall silent
 * without closing anything, or break.
 */
export class TcpProxy implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  readonly #frozen = new WeakSet<Pair>();
  #target: number;
  #held: { readonly to: Socket; readonly bytes: Buffer }[] = [];
  #breaksAt = { text: "", times: 0 };
  #holds: "client" | "server" | "both" | undefined;

  private constructor(port: number, server: Server, target: number) {
    this.port = port;
    this.#server = server;
    this.#target = target;
  }

  /** Before a port of 127.0.0.1; on any free port of 127.0.0.1 itself, or on `at`. */
  static async to(target: number, at?: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
    const { host, port } = at ?? { host: "127.0.0.1", port: (await freePorts(1))[0] ?? 0 };
    const server = createServer({ noDelay: true });
    const proxy = new TcpProxy(port, server, target);
    server.on("connection", (client) => proxy.#join(client, proxy.#target));
    await new Promise<void>((resolve) => server.listen(port, host, resolve));
    return proxy;
  }

  /** New connections go to this port from now on; those that there are stay where they are. */
  switchTo(target: number): void {
    this.#target = target;
  }

  /** Those that there are now fall silent for good, and stay open, as when a host loses its power; new ones work. */
  freeze(): void {
    for (const pair of this.#pairs) this.#frozen.add(pair);
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Bytes that are held back now. */
  get heldBytes(): number {
    return this.#held.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  /** Keeps what one side sends, or both, until `release`; connections stay open, also when their client gives up. */
  hold(from: "client" | "server" | "both"): void {
    this.#holds = from;
  }

  /** Passes on what was held, in order, and holds nothing more. */
  release(): void {
    this.#holds = undefined;
    for (const { to, bytes } of this.#held.splice(0)) to.write(bytes);
    for (const { client, server } of this.#pairs) if (client.destroyed) server.end();
  }

  /** Breaks what clients have; what they had sent still arrives after `release`, as it may in a real network. */
  breakClients(): void {
    for (const { client } of this.#pairs) client.destroy();
  }

  /** Breaks each of the next connections on which a client says this, instead of passing it on. */
  breakAt(text: string, times: number): void {
    this.#breaksAt = { text, times };
  }

  /** Breaks every connection. */
  cut(): void {
    this.#held = [];
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket, target: number): void {
    const server = connect({ host: "127.0.0.1", port: target, noDelay: true });
    const pair = { client, server };
    this.#pairs.add(pair);
    this.#forward(pair, "client", client, server);
    this.#forward(pair, "server", server, client);
    client.on("close", () => {
      if (this.#holds === undefined) server.end();
    });
    server.on("close", () => {
      this.#pairs.delete(pair);
      client.destroy();
    });
  }

  #forward(pair: Pair, side: "client" | "server", from: Socket, to: Socket): void {
    from.on("error", () => undefined);
    from.on("data", (bytes) => {
      if (this.#frozen.has(pair)) return;
      if (side === "client" && this.#breaksAt.times > 0 && bytes.includes(this.#breaksAt.text)) {
        this.#breaksAt.times -= 1;
        from.destroy();
        to.destroy();
      } else if (this.#holds === side || this.#holds === "both") this.#held.push({ to, bytes });
      else to.write(bytes);
    });
  }
}
