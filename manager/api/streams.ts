/** Answers that last: event streams and followed logs. Pulled by the client, so a slow one holds nothing but its place. */
import type { UnderlyingSource } from "node:stream/web";
import { problem } from "../../schema/problem.ts";

export interface Streamed {
  readonly body: ReadableStream<Uint8Array>;
  /** Settles when the last byte is out or the client has gone; true when it ended by itself. */
  readonly closed: Promise<boolean>;
  /** Ends it cleanly, as when its client may not hear it any more. */
  end(): void;
}

export interface StreamBook {
  /** Opens a stream of what `make` yields; its signal aborts when the client leaves or the manager stops. 429 when there are too many. */
  open(make: (signal: AbortSignal) => AsyncGenerator<string | Uint8Array>, onError: (error: unknown) => void): Streamed;
  readonly size: number;
  /** Ends every stream cleanly. */
  closeAll(): void;
}

/** A book with room for `most` streams at a time. */
export function makeStreamBook(most: number): StreamBook {
  const live = new Set<AbortController>();
  return {
    get size() {
      return live.size;
    },
    open(make, onError) {
      if (live.size >= most) {
        throw problem("too-many", `${most} streams are open, which is as many as this manager serves`, { retryAfterSeconds: 5 });
      }
      const abort = new AbortController();
      live.add(abort);
      const { promise: closed, resolve } = Promise.withResolvers<boolean>();
      const over = (byItself: boolean): void => {
        live.delete(abort);
        resolve(byItself);
      };
      // Nothing is read ahead of the client.
      return {
        body: new ReadableStream(sourceOf(make(abort.signal), abort, over, onError), { highWaterMark: 0 }),
        closed,
        end: () => abort.abort(),
      };
    },
    closeAll() {
      for (const abort of live) abort.abort();
    },
  };
}

function sourceOf(
  chunks: AsyncGenerator<string | Uint8Array>,
  abort: AbortController,
  over: (byItself: boolean) => void,
  onError: (error: unknown) => void,
): UnderlyingSource<Uint8Array> {
  const encoder = new TextEncoder();
  let left = false;
  return {
    async pull(controller) {
      try {
        const next = await chunks.next();
        // The client left while this was waited for: the stream takes nothing any more.
        if (left) return;
        if (next.done) {
          controller.close();
          over(true);
        } else controller.enqueue(typeof next.value === "string" ? encoder.encode(next.value) : next.value);
      } catch (error) {
        onError(error);
        controller.error(error);
        over(false);
      }
    },
    async cancel() {
      left = true;
      abort.abort();
      over(false);
      // What the source listens to is let go in its `finally`, and that runs only when it is told to return.
      await chunks.return(undefined);
    },
  };
}
