import { brokerLimits } from "../schema/limits.ts";

export interface WindowMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1;
  readonly retain: boolean;
}

export interface PublishWindow {
  /** Resolves when the broker took it; rejects when it did not, when too many wait, or when the window ends. */
  publish(message: WindowMessage): Promise<void>;
  /** Rejects everything that has not been acknowledged, and everything after. */
  end(error: Error): void;
}

interface Entry {
  readonly message: WindowMessage;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Keeps at most `publishWindow` messages on the wire and the rest in order behind them: clients that send everything at once
 * were disconnected by brokers for it. `send` calls `done` when the broker took the message, or with why it did not.
 */
export function publishWindow(send: (message: WindowMessage, done: (error?: Error) => void) => void): PublishWindow {
  const onTheWire = new Set<Entry>();
  let waiting: Entry[] = [];
  let next = 0;
  let waitingBytes = 0;
  let ended: Error | undefined;
  let pumping = false;

  const pump = (): void => {
    // `send` may call `done` at once; the loop below goes on then, instead of a call inside a call for each message.
    if (pumping) return;
    pumping = true;
    while (!ended && onTheWire.size < brokerLimits.publishWindow && next < waiting.length) {
      const entry = waiting[next] as Entry;
      next += 1;
      waitingBytes -= entry.message.payload.length;
      onTheWire.add(entry);
      send(entry.message, (error) => {
        onTheWire.delete(entry);
        if (error) entry.reject(error);
        else entry.resolve();
        pump();
      });
    }
    if (next === waiting.length || next > brokerLimits.publishWindow * 8) {
      waiting = waiting.slice(next);
      next = 0;
    }
    pumping = false;
  };

  return {
    publish(message) {
      if (ended) return Promise.reject(ended);
      if (
        waiting.length - next >= brokerLimits.publishQueue ||
        waitingBytes + message.payload.length > brokerLimits.publishQueueBytes
      ) {
        return Promise.reject(
          new Error(
            `not published to ${message.topic}: ${brokerLimits.publishQueue} messages or ${brokerLimits.publishQueueBytes} bytes wait for the broker`,
          ),
        );
      }
      return new Promise((resolve, reject) => {
        waiting.push({ message, resolve, reject });
        waitingBytes += message.payload.length;
        pump();
      });
    },
    end(error) {
      ended ??= error;
      for (const entry of [...onTheWire, ...waiting.slice(next)]) entry.reject(ended);
      onTheWire.clear();
      waiting = [];
      next = 0;
      waitingBytes = 0;
    },
  };
}
