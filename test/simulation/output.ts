import type { Logs } from "../../schema/messages.ts";
import type { LogShipper } from "../../worker/logs/shipper.ts";
import type { Counters } from "./counters.ts";

/** The output of one attempt, and how much of it a manager has acknowledged. Both are files, and outlive the agent. */
export interface Stream {
  produced: number;
  acked: number;
  /** Since when a piece of it is on the wire; null: nothing is. */
  sentAtMs: number | null;
  /** The agent that lives now knows of it. */
  tracked: boolean;
}

export type Piece = Pick<Logs, "attempt" | "stream" | "offset" | "bytes">;

const pieceBytes = 200;
const resendMs = 3_000;

/**
 * A host's files of output and, in place of the product's shipper, which reads real files, the least that speaks as it does:
 * pieces from the first byte that is not acknowledged on, again after a while, again to another leader.
 */
export class SimOutput implements Pick<LogShipper, "track" | "ended" | "settle" | "acked" | "again" | "up" | "down"> {
  readonly #streams = new Map<string, Stream>();
  readonly #ends: { readonly nowMs: () => number; readonly counters: Counters };
  #connected = false;
  #send: (piece: Piece) => void = () => undefined;

  constructor(ends: { readonly nowMs: () => number; readonly counters: Counters }) {
    this.#ends = ends;
  }

  /** The process of the attempt has written so much more. */
  writes(attempt: string, bytes: number): void {
    const stream = this.#of(attempt);
    stream.produced += bytes;
    this.#offer(attempt, stream);
  }

  get attempts(): ReadonlyMap<string, Readonly<Stream>> {
    return this.#streams;
  }

  #of(attempt: string): Stream {
    let stream = this.#streams.get(attempt);
    if (!stream) this.#streams.set(attempt, (stream = { produced: 0, acked: 0, sentAtMs: null, tracked: false }));
    return stream;
  }

  /** The agent is gone, or not there yet. */
  forget(): void {
    this.down();
    for (const stream of this.#streams.values()) stream.tracked = false;
  }

  track(attempt: string): void {
    this.#of(attempt).tracked = true;
  }

  ended(attempt: string): void {
    const stream = this.#streams.get(attempt);
    if (stream) this.#offer(attempt, stream);
  }

  settle(): void {
    // Its folder would go now; nobody looks for it in this world.
  }

  acked(attempt: string, _stream: "stdout" | "stderr", offset: number): void {
    const stream = this.#streams.get(attempt);
    // Of another agent under this id.
    if (!stream || offset <= stream.acked) return;
    stream.acked = offset;
    stream.sentAtMs = null;
    this.#offer(attempt, stream);
  }

  /** `send`: the way to the wire; the one that was before when none is given. */
  up(send = this.#send): void {
    this.#send = send;
    this.#connected = true;
    for (const [attempt, stream] of this.#streams) this.#offer(attempt, stream);
  }

  down(): void {
    this.#connected = false;
    for (const stream of this.#streams.values()) stream.sentAtMs = null;
  }

  again(): void {
    if (!this.#connected) return;
    this.down();
    this.up();
  }

  /** With each turn of the agent. */
  sweep(): void {
    for (const [attempt, stream] of this.#streams) {
      if (stream.sentAtMs === null || this.#ends.nowMs() - stream.sentAtMs < resendMs) continue;
      this.#ends.counters.happened("output was sent again");
      stream.sentAtMs = null;
      this.#offer(attempt, stream);
    }
  }

  #offer(attempt: string, stream: Stream): void {
    if (!this.#connected || !stream.tracked || stream.sentAtMs !== null || stream.acked >= stream.produced) return;
    stream.sentAtMs = this.#ends.nowMs();
    const end = Math.min(stream.produced, stream.acked + pieceBytes);
    const bytes = outputOf(attempt, end).subarray(stream.acked).toString("base64");
    this.#send({ attempt, stream: "stdout", offset: stream.acked, bytes });
  }
}

/** What the process of an attempt writes: each byte tells whose it is and where it stands. */
export function outputOf(attempt: string, bytes: number): Buffer {
  return Buffer.from(`${attempt} `.repeat(Math.ceil(bytes / (attempt.length + 1)))).subarray(0, bytes);
}
