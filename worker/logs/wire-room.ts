import { workerLimits } from "../../schema/limits.ts";
import type { LogStream } from "./stream.ts";

/**
 * What a worker's output takes of the wire. Bounded in bytes, and by streams in messages too: beyond what a manager lets wait for one
 * worker they would be dropped there, and come again only much later.
 */
export class WireRoom {
  #bytes = 0;
  /** Those with bytes on the wire. */
  readonly #streams = new Set<LogStream>();

  get isFull(): boolean {
    return this.#bytes >= workerLimits.logInFlightBytes || this.#streams.size >= workerLimits.logStreamsInFlight;
  }

  /** So many bytes of the stream went out. */
  take(stream: LogStream, bytes: number): void {
    this.#bytes += bytes;
    this.#streams.add(stream);
  }

  /** So many bytes of the stream are on the wire no more; `stream.onWire` is what is left of it. */
  giveBack(stream: LogStream, bytes: number): void {
    this.#bytes -= bytes;
    if (stream.onWire === 0) this.#streams.delete(stream);
  }

  /** All that the stream has on the wire is given up. */
  giveUp(stream: LogStream): void {
    const bytes = stream.onWire;
    stream.onWire = 0;
    this.giveBack(stream, bytes);
  }
}
