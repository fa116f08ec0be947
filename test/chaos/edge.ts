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
    for (const flow of flows) flow.whenClosed(over);
  }
}

/** One direction of one connection. */
class Flow {
  readonly #side: "client" | "server";
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #fault: Fault;
  /** What was taken and is not passed on yet, in order; each due at milliseconds of this process's clock. */
  readonly #queue: { readonly dueMs: number; readonly bytes: number; readonly act: () => void }[] = [];
  #queuedBytes = 0;
  #lastDueMs = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Heard while the edge was silent, and for later. */
  #untold: (() => void)[] = [];

  constructor(side: "client" | "server", from: Socket, to: Socket, fault: Fault) {
    this.#side = side;
    this.#from = from;
    this.#to = to;
    this.#fault = fault;
    from.on("data", (bytes: Buffer) => this.#put(bytes.length, () => to.write(bytes)));
    // A socket that is paused tells of its end all the same.
    from.on("end", () => this.#whenHeard(() => this.#put(0, () => to.end())));
    to.on("drain", () => this.look());
    this.look();
  }

  get #isHeld(): boolean {
    const { silent } = this.#fault;
    return silent === "both" || silent === this.#side;
  }

  /** Reads on, or not, as the fault of the moment wants it. */
  look(): void {
    if (!this.#isHeld) for (const act of this.#untold.splice(0)) act();
    if (this.#isHeld || this.#queuedBytes > mostWaiting || this.#to.writableNeedDrain) this.#from.pause();
    else this.#from.resume();
  }

  /** Calls `over` when its source is closed and what it had said is passed on; at once when it broke. */
  whenClosed(over: () => void): void {
    this.#from.once("close", (broke) => this.#whenHeard(() => (broke ? over() : this.#put(0, over))));
  }

  /** Now, or when this direction is heard again. */
  #whenHeard(act: () => void): void {
    if (this.#isHeld) this.#untold.push(act);
    else act();
  }

  break(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
    this.#from.destroy();
    this.#to.destroy();
  }

  #put(bytes: number, act: () => void): void {
    const { delayMs, bytesPerSecond } = this.#fault;
    const now = performance.now();
    const takesMs = bytesPerSecond === undefined ? 0 : (bytes * 1_000) / bytesPerSecond;
    this.#lastDueMs = Math.max(this.#lastDueMs, now) + takesMs;
    this.#queue.push({ dueMs: Math.max(this.#lastDueMs, now + delayMs), bytes, act });
    this.#queuedBytes += bytes;
    this.#pass();
  }

  /** One after the other: two timers of nearly the same instant may fire in either order. */
  #pass(): void {
    clearTimeout(this.#timer);
    for (let first = this.#queue[0]; first; first = this.#queue[0]) {
      const waitMs = first.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#pass(), waitMs);
        break;
      }
      this.#queue.shift();
      this.#queuedBytes -= first.bytes;
      if (!this.#to.destroyed) first.act();
    }
    this.look();
  }
}
