/** One edge of a system under test: a TCP proxy of our own that can be cut, fall silent, be late, or be slow. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePorts } from "../kit/ports.ts";

/** Bytes of one direction that wait in the proxy before it stops reading. */
const mostWaiting = 262_144;

interface Fault {
  /** Connections are broken, and new ones at once. */
  cut: boolean;
  /** Half-open: nothing comes through and nothing is closed. */
  silent: "client" | "server" | "both" | undefined;
  delayMs: number;
  /** Undefined: as fast as it goes. */
  bytesPerSecond: number | undefined;
}

export class Edge implements AsyncDisposable {
  /** Of 127.0.0.1; it stays the same for the edge's life. */
  readonly port: number;
  readonly #server: Server;
  readonly #target: number;
  readonly #flows = new Set<Flow>();
  /** Accepted while the edge was silent: their SYN has not arrived yet, so to speak. */
  readonly #undialled = new Set<Socket>();
  readonly #fault: Fault = { cut: false, silent: undefined, delayMs: 0, bytesPerSecond: undefined };

  private constructor(port: number, target: number, server: Server) {
    this.port = port;
    this.#target = target;
    this.#server = server;
  }

  /** Passes everything on to a port of 127.0.0.1, until it is told otherwise. */
  static async to(target: number): Promise<Edge> {
    const [port = 0] = await freePorts(1);
    const server = createServer({ noDelay: true, allowHalfOpen: true });
    const edge = new Edge(port, target, server);
    server.on("connection", (client) => edge.#accept(client));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    });
    return edge;
  }

  /** Breaks every connection; what connects next passes. */
  drop(): void {
    for (const flow of this.#flows) flow.break();
    for (const client of this.#undialled) client.destroy();
    this.#undialled.clear();
  }

  /** Breaks every connection, and each new one, until `heal`. */
  cut(): void {
    this.#fault.cut = true;
    this.drop();
  }

  /**
   * Half-open: what one side says, or both, does not come through and nothing is closed; new connections are not answered.
   * What was said comes through after `heal`, unless its connection was given up.
   */
  silence(from: "client" | "server" | "both" = "both"): void {
    this.#fault.silent = from;
    for (const flow of this.#flows) flow.look();
  }

  /** Everything comes so much later, in order. */
  delay(ms: number): void {
    this.#fault.delayMs = ms;
  }

  /** No more than so many bytes a second in each direction of each connection. */
  slow(bytesPerSecond: number): void {
    this.#fault.bytesPerSecond = bytesPerSecond;
  }

  /** All is well again. */
  heal(): void {
    Object.assign(this.#fault, { cut: false, silent: undefined, delayMs: 0, bytesPerSecond: undefined });
    for (const client of this.#undialled) this.#dial(client);
    this.#undialled.clear();
    for (const flow of this.#flows) flow.look();
  }

  /** Connections that pass through it now. */
  get connections(): number {
    return this.#flows.size / 2;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    client.on("error", () => client.destroy());
    if (this.#fault.cut) client.destroy();
    else if (this.#fault.silent !== undefined) this.#undialled.add(client.pause());
    else this.#dial(client);
  }

  #dial(client: Socket): void {
    if (client.destroyed) return;
    const server = connect({ host: "127.0.0.1", port: this.#target, noDelay: true, allowHalfOpen: true });
    server.on("error", () => server.destroy());
    const flows = [new Flow("client", client, server, this.#fault), new Flow("server", server, client, this.#fault)];
    for (const flow of flows) this.#flows.add(flow);
    const over = (): void => {
      for (const flow of flows) {
        flow.break();
        this.#flows.delete(flow);
      }
    };
    // A side that broke while the edge is silent has broken, but the other cannot know yet.
    for (const socket of [client, server])
      socket.once("close", () => {
        if (this.#fault.silent === undefined) over();
        else for (const flow of flows) flow.whenHealed(over);
      });
  }
}

/** One direction of one connection. */
class Flow {
  readonly #side: "client" | "server";
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #fault: Fault;
  #waiting = 0;
  /** Milliseconds of this process's clock at which the last byte taken so far is due. */
  #dueMs = 0;
  #healed: (() => void) | undefined;

  constructor(side: "client" | "server", from: Socket, to: Socket, fault: Fault) {
    this.#side = side;
    this.#from = from;
    this.#to = to;
    this.#fault = fault;
    from.on("data", (bytes: Buffer) => this.#take(bytes));
    from.on("end", () => this.#later(0, () => to.end()));
    to.on("drain", () => this.look());
    this.look();
  }

  /** Reads on, or not, as the fault of the moment wants it. */
  look(): void {
    const { silent } = this.#fault;
    const held = silent === "both" || silent === this.#side;
    if (!held && silent === undefined && this.#healed) {
      const healed = this.#healed;
      this.#healed = undefined;
      healed();
    }
    if (held || this.#waiting > mostWaiting || this.#to.writableNeedDrain) this.#from.pause();
    else this.#from.resume();
  }

  whenHealed(act: () => void): void {
    this.#healed = act;
  }

  break(): void {
    this.#from.destroy();
    this.#to.destroy();
  }

  #take(bytes: Buffer): void {
    const { delayMs, bytesPerSecond } = this.#fault;
    if (delayMs === 0 && bytesPerSecond === undefined && this.#waiting === 0) {
      this.#to.write(bytes);
      this.look();
      return;
    }
    this.#waiting += bytes.length;
    this.#later(bytesPerSecond === undefined ? 0 : (bytes.length * 1_000) / bytesPerSecond, () => {
      this.#waiting -= bytes.length;
      this.#to.write(bytes);
      this.look();
    });
    this.look();
  }

  /** After everything that was taken before it. */
  #later(takesMs: number, act: () => void): void {
    const now = performance.now();
    if (this.#waiting === 0 && takesMs === 0 && this.#fault.delayMs === 0) return act();
    this.#dueMs = Math.max(this.#dueMs + takesMs, now + this.#fault.delayMs + takesMs);
    setTimeout(() => {
      if (!this.#to.destroyed) act();
    }, this.#dueMs - now);
  }
}
