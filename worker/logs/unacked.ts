import { doubledDelayMs } from "../../schema/kit/backoff.ts";
import { timing } from "../../schema/limits.ts";
import { rewind, type LogStream } from "./stream.ts";
import type { WireRoom } from "./wire-room.ts";

const pauses = { firstMs: timing.resendFirstMs, maxMs: timing.resendMaxMs };

/**
 * Streams that wait for an ack, and when they are sent again: after 2 s, doubling to 30 s, and sooner once it shows that
 * somebody listens again. Without that, what a broker dropped by the hundred would come back in waves of half a minute.
 */
export class Unacked {
  readonly #streams = new Set<LogStream>();
  #heardMono = Number.NEGATIVE_INFINITY;
  /** When it showed last that somebody listens again. */
  #freeMono = Number.NEGATIVE_INFINITY;

  add(stream: LogStream): void {
    this.#streams.add(stream);
  }

  delete(stream: LogStream): void {
    this.#streams.delete(stream);
  }

  /** All of them, which wait no longer. */
  takeAll(): readonly LogStream[] {
    const all = [...this.#streams];
    this.#streams.clear();
    return all;
  }

  /**
   * An ack takes `stream` on to `offset`. After a silence, or when the stream was sent again itself, that tells that somebody
   * listens again: what was sent before is lost for certain, and need not wait for the end of its pause.
   */
  heard(stream: LogStream, offset: number, mono: number): void {
    if (offset <= stream.acked) return;
    if (stream.tries > 0 || mono - this.#heardMono >= timing.resendFirstMs) this.#freeMono = mono;
    this.#heardMono = mono;
  }

  /** Takes those that are due. One that nobody acknowledges gives its part of the wire back to the others long before. */
  takeDue(mono: number, room: WireRoom): readonly LogStream[] {
    const due: LogStream[] = [];
    for (const stream of this.#streams) {
      const waitedMs = mono - stream.progressMono;
      if (waitedMs < timing.resendFirstMs) continue;
      room.giveUp(stream);
      const hurries = this.#mayHurry(stream, mono);
      if (!hurries && waitedMs < doubledDelayMs(stream.tries, pauses)) continue;
      if (hurries) stream.hurriedMono = mono;
      stream.tries = hurries ? 1 : stream.tries + 1;
      rewind(stream);
      this.#streams.delete(stream);
      due.push(stream);
    }
    return due;
  }

  /** Its pauses begin anew no more often than it is sent at the least, so that a stream that the manager does not want stays rare. */
  #mayHurry({ tries, progressMono, hurriedMono }: LogStream, mono: number): boolean {
    return tries > 0 && progressMono <= this.#freeMono && mono - hurriedMono >= timing.resendMaxMs;
  }
}
