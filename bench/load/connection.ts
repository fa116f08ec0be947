/**
 * An HTTP/1.1 client that costs as little as one can, because it shares the cores with what it measures: one kept connection, one
 * request at a time, requests as bytes made beforehand, answers looked at no further than they must be.
 */
import { connect, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  /** Bytes as latin1: what is looked for in it is ASCII. */
  readonly body: string;
}

type Done = (answer: Answer) => void;

export class LeanConnection {
  readonly #socket: Socket;
  #text = "";
  #done: Done | undefined;
  #failed: (error: Error) => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error("the server closed the connection")));
  }

  static async open(url: string): Promise<LeanConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new LeanConnection(socket);
  }

  get busy(): boolean {
    return this.#done !== undefined;
  }

  /** Sends a request; `done` gets the answer, in the turn in which its last byte came. `failed` is called when there will be none. */
  send(request: Buffer, done: Done, failed: (error: Error) => void): void {
    if (this.#done) throw new Error("a request is under way on this connection");
    this.#done = done;
    this.#failed = failed;
    this.#socket.write(request);
  }

  async request(request: Buffer): Promise<Answer> {
    return await new Promise((resolve, reject) => this.send(request, resolve, reject));
  }

  close(): void {
    this.#socket.removeAllListeners("close");
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.#text = this.#text === "" ? bytes.toString("latin1") : this.#text + bytes.toString("latin1");
    const text = this.#text;
    const headEnd = text.indexOf("\r\n\r\n");
    if (headEnd < 0) return;
    const length = contentLength(text.slice(0, headEnd));
    if (length === undefined) return this.#fail(new Error(`an answer without Content-Length: ${text.slice(0, headEnd)}`));
    if (text.length < headEnd + 4 + length) return;
    const done = this.#done;
    this.#text = "";
    this.#done = undefined;
    done?.({ status: Number(text.slice(9, 12)), body: text.slice(headEnd + 4) });
  }

  #fail(error: Error): void {
    if (!this.#done) return;
    this.#done = undefined;
    this.#failed(error);
  }
}

function contentLength(head: string): number | undefined {
  const found = /\r\ncontent-length: *(\d+)/i.exec(head);
  return found ? Number(found[1]) : undefined;
}

/** A request with the token, ready to be sent any number of times. */
export function requestBytes(url: string, token: string, method: string, path: string, body?: unknown): Buffer {
  const text = body === undefined ? "" : JSON.stringify(body);
  const { host } = new URL(url);
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${token}`];
  if (body !== undefined) lines.push("Content-Type: application/json", `Content-Length: ${Buffer.byteLength(text)}`);
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${text}`);
}
