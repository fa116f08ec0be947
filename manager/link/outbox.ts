/** The manager's end of the downlink: items become messages within the bounds, in order, and are lost when nobody hears. */
import type { Connection } from "../../broker/broker.ts";
import { reached, reachedOnceWritten } from "../../schema/kit/failpoint.ts";
import { wireLimits } from "../../schema/limits.ts";
import { protocolVersion, type AsOf, type DownItem } from "../../schema/messages.ts";
import { commandsTopic } from "../../schema/topics.ts";
import type { DownTracing, Leaving } from "../telemetry/tracing-wire.ts";

export interface OutboxFigures {
  published: number;
  publishedBytes: number;
  /** Messages that had no connection, or whose connection ended before the broker took them. Their items are sent again by the core. */
  lost: number;
  /** Items larger than a message may be. */
  tooLarge: number;
}

export interface ToSend {
  readonly pool: string;
  readonly workerId: string;
  readonly term: number;
  readonly asOf: AsOf;
  readonly items: readonly DownItem[];
}

/** Publishes commands over whichever connection is up. Never waits and never throws: the wire may lose anything (promise 6). */
export class Outbox {
  readonly figures: OutboxFigures = { published: 0, publishedBytes: 0, lost: 0, tooLarge: 0 };
  readonly #prefix: string;
  readonly #tracing: DownTracing | undefined;
  readonly #onTooLarge: (workerId: string, item: DownItem, bytes: number) => void;
  #connection: Connection | undefined;

  constructor(prefix: string, onTooLarge: (workerId: string, item: DownItem, bytes: number) => void, tracing?: DownTracing) {
    this.#prefix = prefix;
    this.#tracing = tracing;
    this.#onTooLarge = onTooLarge;
  }

  use(connection: Connection | undefined): void {
    this.#connection = connection;
  }

  send(command: ToSend): void {
    const topic = commandsTopic(this.#prefix, command.pool, command.workerId);
    reached("s04", command.items);
    for (const { payload, left } of this.#messages(command)) {
      if (!this.#connection) {
        this.figures.lost += 1;
        tell(left, "lost");
        continue;
      }
      this.#connection.publish(topic, payload, { qos: 1 }).then(
        () => {
          this.figures.published += 1;
          this.figures.publishedBytes += payload.byteLength;
          tell(left, "taken");
        },
        () => {
          this.figures.lost += 1;
          tell(left, "lost");
        },
      );
      reachedOnceWritten("s05", payload);
    }
  }

  *#messages(command: ToSend): Generator<Message> {
    const head = `{"v":${protocolVersion},"term":${command.term},"asOf":${JSON.stringify(command.asOf)},"items":[`;
    const room = wireLimits.payloadBytes - Buffer.byteLength(head) - 2;
    let texts: string[] = [];
    let bytes = 0;
    let left: Leaving["left"][] = [];
    for (const plain of command.items) {
      const traced = this.#tracing?.leaving(plain, command);
      const item = traced?.item ?? plain;
      const text = JSON.stringify(item);
      const size = Buffer.byteLength(text) + 1;
      if (size > room) {
        this.figures.tooLarge += 1;
        this.#onTooLarge(command.workerId, item, size);
        traced?.left("lost");
        continue;
      }
      if (texts.length > 0 && (bytes + size > room || texts.length >= wireLimits.itemsPerMessage)) {
        yield { payload: Buffer.from(`${head}${texts.join(",")}]}`), left };
        texts = [];
        bytes = 0;
        left = [];
      }
      texts.push(text);
      bytes += size;
      if (traced) left.push(traced.left);
    }
    if (texts.length > 0) yield { payload: Buffer.from(`${head}${texts.join(",")}]}`), left };
  }
}

interface Message {
  readonly payload: Uint8Array;
  readonly left: readonly Leaving["left"][];
}

function tell(left: readonly Leaving["left"][], outcome: "taken" | "lost"): void {
  for (const each of left) each(outcome);
}
