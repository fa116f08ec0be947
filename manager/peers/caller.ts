/** Asks another manager over HTTP, and knows afterwards whether it may have heard the question. */
import { Agent as PlainAgent, request as plainRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { Agent as TlsAgent, request as tlsRequest } from "node:https";
import { sha256Hex } from "../../schema/digest.ts";
import { patience } from "../../schema/kit/backoff.ts";
import { peerLimits } from "../../schema/limits/peers.ts";
import { answerHeader, openAnswer, questionHeader, sealQuestion, type Question } from "./seal.ts";

export interface CallOptions {
  readonly to: { readonly name: string; readonly address: string };
  readonly path: string;
  readonly body: string;
  /** From now until the whole answer is there. */
  readonly withinMs: number;
  /** Its reason is an error that says why nobody waits any more. */
  readonly signal?: AbortSignal;
}

/**
 * `answered`: by the manager that was meant. `unsent`: nobody has heard anything of it. `elsewhere`: another manager answers at
 * that address, and has not taken it. `broken`: it may have been heard.
 */
export type Reply =
  | { readonly kind: "answered"; readonly status: number; readonly text: string }
  | { readonly kind: "unsent" | "broken"; readonly why: string }
  | { readonly kind: "elsewhere"; readonly by: string };

export class PeerCaller {
  readonly #key: Uint8Array;
  readonly #name: string;
  readonly #agents = {
    plain: new PlainAgent({ keepAlive: true, maxSockets: peerLimits.connections, timeout: peerLimits.idleMs }),
    tls: new TlsAgent({ keepAlive: true, maxSockets: peerLimits.connections, timeout: peerLimits.idleMs }),
  };
  #number = 0;

  /** `name` is this manager's own, as in its leases. */
  constructor(key: Uint8Array, name: string) {
    this.#key = key;
    this.#name = name;
  }

  /** Never rejects. */
  async call({ to, path, body, withinMs, signal }: CallOptions): Promise<Reply> {
    this.#number += 1;
    const question: Question = { path, from: this.#name, to: to.name, number: this.#number, bodyHash: sha256Hex(body) };
    const exchange = new Exchange(() => this.#request(to.address, question, body));
    const giveUp = (): void => exchange.end(signal?.reason instanceof Error ? signal.reason.message : "nobody waits for it");
    const takeBack = afterPatience(withinMs, () => exchange.end(`no answer within ${withinMs} ms`));
    signal?.addEventListener("abort", giveUp, { once: true });
    if (signal?.aborted) giveUp();
    try {
      const { status, header, bytes } = await exchange.answer;
      const by = openAnswer(this.#key, question, header, { status, body: bytes });
      if (by === to.name) return { kind: "answered", status, text: bytes.toString("utf8") };
      if (by !== undefined) return { kind: "elsewhere", by };
      return { kind: "broken", why: `what answers at ${to.address} (status ${status}) is no manager of this database` };
    } catch (error) {
      const why = error instanceof Error ? error.message || error.name : String(error);
      return { kind: exchange.sent ? "broken" : "unsent", why };
    } finally {
      takeBack();
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** Ends what is idle; what is on its way is ended by its own signal or time. */
  close(): void {
    this.#agents.plain.destroy();
    this.#agents.tls.destroy();
  }

  #request(address: string, question: Question, body: string): ClientRequest {
    const url = new URL(address.replace(/\/+$/, "") + question.path);
    const isTls = url.protocol === "https:";
    const request = (isTls ? tlsRequest : plainRequest)(url, {
      method: "POST",
      agent: isTls ? this.#agents.tls : this.#agents.plain,
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
        [questionHeader]: sealQuestion(this.#key, question),
      },
    });
    request.end(body);
    return request;
  }
}

interface Received {
  readonly status: number;
  readonly header: string;
  readonly bytes: Buffer;
}

/** One request, from the look for a connection to the last byte of its answer. */
class Exchange {
  /** True from the moment at which a byte of it may have left this host. */
  sent = false;
  readonly answer: Promise<Received>;
  readonly #request: ClientRequest | undefined;

  constructor(open: () => ClientRequest) {
    const { promise, resolve, reject } = Promise.withResolvers<Received>();
    this.answer = promise;
    let request: ClientRequest;
    try {
      request = open();
    } catch (error) {
      // Such as an address that is none: nothing was sent.
      reject(error);
      return;
    }
    this.#request = request;
    request.on("error", reject);
    request.on("socket", (socket) => {
      if (!socket.connecting) {
        this.sent = true;
        return;
      }
      const { connectMs } = peerLimits;
      const stands = afterPatience(connectMs, () => this.end(`no connection within ${connectMs} ms`));
      socket.once("close", stands);
      // Over TLS the request waits for the handshake, which may fail.
      socket.once("encrypted" in socket ? "secureConnect" : "connect", () => {
        stands();
        this.sent = true;
      });
    });
    request.on("response", (response) => void receive(response).then(resolve, reject));
  }

  /** Lets go of it, for this reason. */
  end(why: string): void {
    this.#request?.destroy(new Error(why));
  }
}

/** Calls `act` once when the patience is over; what it returns takes that back. */
function afterPatience(ms: number, act: () => void): () => void {
  const takenBack = new AbortController();
  void patience(ms, takenBack.signal).then(() => {
    if (!takenBack.signal.aborted) act();
  });
  return () => takenBack.abort();
}

async function receive(response: IncomingMessage): Promise<Received> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.byteLength;
    if (bytes > peerLimits.answerBytes) throw new Error(`its answer is larger than ${peerLimits.answerBytes} bytes`);
    parts.push(part);
  }
  if (!response.complete) throw new Error("the connection ended in the middle of the answer");
  return { status: response.statusCode ?? 0, header: String(response.headers[answerHeader] ?? ""), bytes: Buffer.concat(parts) };
}
