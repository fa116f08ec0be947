import { wireLimits } from "../../schema/limits.ts";
import type { Input } from "../control/inputs.ts";

/** An input that waits, with what its log line will need. */
export interface Waiting {
  input: Input;
  readonly bytes: number;
  /** Mono ms at which it arrived. */
  readonly arrivedMs: number;
}

type Message = Extract<Input, { readonly workerId: string }>;

/** What one worker has waiting: reports up to the wire's bound, a hello's parts, and the newest heartbeat only (rule 16). */
interface WorkerShare {
  reportBytes: number;
  helloBytes: number;
  statuses: number;
  heartbeat: Waiting | undefined;
}

const helloBytesMax = 40 * wireLimits.payloadBytes;
const statusesMax = 20;

/**
 * The inputs that the engine has not taken, in order of arrival, bounded. What is refused here is dropped and counted by the
 * caller; being unacknowledged it comes again.
 */
export class InputQueue {
  #items: Waiting[] = [];
  readonly #shares = new Map<string, WorkerShare>();
  #requests = 0;

  get size(): number {
    return this.#items.length;
  }

  get requests(): number {
    return this.#requests;
  }

  pushRequest(input: Extract<Input, { readonly kind: "request" }>, arrivedMs: number): void {
    this.#requests += 1;
    this.#items.push({ input, bytes: 0, arrivedMs });
  }

  /** False: the worker has as much waiting as it may, and the message is dropped. */
  pushMessage(input: Message, bytes: number, arrivedMs: number): boolean {
    const share = this.#share(input.workerId);
    switch (input.kind) {
      case "heartbeat":
        if (share.heartbeat) {
          share.heartbeat.input = input;
          return true;
        }
        share.heartbeat = { input, bytes, arrivedMs };
        this.#items.push(share.heartbeat);
        return true;
      case "reports":
        if (share.reportBytes + bytes > 2 * wireLimits.unackedReportBytes) return false;
        share.reportBytes += bytes;
        break;
      case "hello":
        if (share.helloBytes + bytes > helloBytesMax) return false;
        share.helloBytes += bytes;
        break;
      case "status":
        if (share.statuses >= statusesMax) return false;
        share.statuses += 1;
        break;
    }
    this.#items.push({ input, bytes, arrivedMs });
    return true;
  }

  /** Takes the oldest `count` inputs. */
  take(count: number): Waiting[] {
    const taken = this.#items.length <= count ? this.#items : this.#items.slice(0, count);
    this.#items = taken === this.#items ? [] : this.#items.slice(count);
    for (const waiting of taken) this.#release(waiting);
    return taken;
  }

  /** Takes the requests only; used to refuse them when the door closes. */
  takeRequests(): Waiting[] {
    const requests = this.#items.filter((waiting) => waiting.input.kind === "request");
    this.#items = this.#items.filter((waiting) => waiting.input.kind !== "request");
    this.#requests = 0;
    return requests;
  }

  #share(workerId: string): WorkerShare {
    let share = this.#shares.get(workerId);
    if (!share) {
      share = { reportBytes: 0, helloBytes: 0, statuses: 0, heartbeat: undefined };
      this.#shares.set(workerId, share);
    }
    return share;
  }

  #release(waiting: Waiting): void {
    const { input } = waiting;
    switch (input.kind) {
      case "request":
        this.#requests -= 1;
        return;
      case "heartbeat":
        this.#share(input.workerId).heartbeat = undefined;
        break;
      case "reports":
        this.#share(input.workerId).reportBytes -= waiting.bytes;
        break;
      case "hello":
        this.#share(input.workerId).helloBytes -= waiting.bytes;
        break;
      case "status":
        this.#share(input.workerId).statuses -= 1;
        break;
      case "tick":
      case "place":
        return;
    }
    const share = this.#share(input.workerId);
    if (!share.heartbeat && share.reportBytes === 0 && share.helloBytes === 0 && share.statuses === 0)
      this.#shares.delete(input.workerId);
  }
}
