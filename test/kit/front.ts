import { connect, createServer, type Server, type Socket } from "node:net";
import { freePorts } from "./ports.ts";

/**
 * One address before several servers on this host, as a proxy that balances would give: each new connection goes to the next
 * server that takes it. It only carries bytes; servers that are left out get no new connection, and lose what they have.
 */
export class Front implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #targets = new Map<number, Set<Socket>>();
  #turn = 0;

  private constructor(port: number, server: Server) {
    this.port = port;
    this.#server = server;
  }

  /** Listens; nobody is behind it yet. */
  static async listen(): Promise<Front> {
    const [port = 0] = await freePorts(1);
    const server = createServer({ noDelay: true });
    const front = new Front(port, server);
    server.on("connection", (client) => {
      client.on("error", () => undefined);
      front.#turn += 1;
      const ports = [...front.#targets.keys()];
      const first = ports.length === 0 ? 0 : front.#turn % ports.length;
      front.#join(client, [...ports.slice(first), ...ports.slice(0, first)]);
    });
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return front;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Connections may go to this port from now on. */
  add(port: number): void {
    if (!this.#targets.has(port)) this.#targets.set(port, new Set());
  }

  /** As a proxy does with a server that fails its checks. */
  leaveOut(port: number): void {
    for (const socket of this.#targets.get(port) ?? []) socket.destroy();
    this.#targets.delete(port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const port of this.#targets.keys()) this.leaveOut(port);
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket, ports: readonly number[]): void {
    const [port, ...others] = ports;
    if (port === undefined) {
      client.destroy();
      return;
    }
    const upstream = connect({ host: "127.0.0.1", port, noDelay: true });
    let joined = false;
    upstream.once("connect", () => {
      joined = true;
      client.pipe(upstream).pipe(client);
    });
    upstream.on("error", () => undefined);
    upstream.once("close", () => {
      this.#targets.get(port)?.delete(client);
      if (joined) client.destroy();
      else this.#join(client, others);
    });
    client.once("close", () => upstream.destroy());
    this.#targets.get(port)?.add(client);
  }
}
