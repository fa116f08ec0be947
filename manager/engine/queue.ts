import { managerLimits } from "../../schema/limits.ts";
import { inboxLimits } from "../../schema/limits/inbox.ts";
import type { Input } from "../control/inputs.ts";
import { requestBytes } from "./request-bytes.ts";

/** An input that waits, with what its log line will need. */
export interface Waiting {
  input: Input;
  readonly bytes: number;
  /** Mono ms at which it arrived. */
  readonly arrivedMs: number;
}

type Message = Extract<Input, { readonly workerId: string }>;

type HelloInput = Extract<Input, { readonly kind: "hello" }>;

/** What one worker has waiting, bounded by `inboxLimits`; of its heartbeats the newest (rule 16). */
interface WorkerShare {
  reportBytes: number;
  hellos: Waiting[];
  statuses: number;
  heartbeat: Waiting | undefined;
}

/**
 * The inputs that the engine has not taken, in order of arrival, bounded. What is refused here is dropped and counted by the
 * caller; being unacknowledged it comes again.
 */
export class InputQueue {
  #items: Waiting[] = [];
  readonly #shares = new Map<string, WorkerShare>();
  #requests = 0;
  #requestBytes = 0;

  get size(): number {
    return this.#items.length;
  }

  get requests(): number {
    return this.#requests;
  }

  /** Whether as many requests wait as may. */
  get isFull(): boolean {
    return this.#requests >= managerLimits.waitingRequests || this.#requestBytes >= managerLimits.waitingRequestBytes;
  }

  pushRequest(input: Extract<Input, { readonly kind: "request" }>, arrivedMs: number): void {
    const bytes = requestBytes(input.request);
    this.#requests += 1;
    this.#requestBytes += bytes;
    this.#items.push({ input, bytes, arrivedMs });
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
        if (share.reportBytes + bytes > inboxLimits.reportBytes) return false;
        share.reportBytes += bytes;
        break;
      case "hello":
        return this.#pushHello(share, { input, bytes, arrivedMs });
      case "status":
        if (share.statuses >= inboxLimits.statuses) return false;
        share.statuses += 1;
        break;
    }
    this.#items.push({ input, bytes, arrivedMs });
    return true;
  }

  /**
   * A hello is repeated until it is answered, and while nobody answers each one would come on top of the last: only the parts
   * of the newest snapshot are kept.
   */
  #pushHello(share: WorkerShare, waiting: Waiting & { readonly input: Message }): boolean {
    const older = share.hellos.filter((each) => !sameSnapshot(each.input as HelloInput, waiting.input as HelloInput));
    if (older.length > 0) {
      const dropped = new Set(older);
      this.#items = this.#items.filter((each) => !dropped.has(each));
      share.hellos = share.hellos.filter((each) => !dropped.has(each));
    }
    const bytes = share.hellos.reduce((sum, each) => sum + each.bytes, waiting.bytes);
    if (bytes > inboxLimits.helloBytes) return false;
    share.hellos.push(waiting);
    this.#items.push(waiting);
    return true;
  }

  /** Takes the oldest inputs: at most `count`, and no more than `bytes` of them unless the first alone is larger. */
  take(count: number, bytes = Number.POSITIVE_INFINITY): Waiting[] {
    let end = 0;
    let sum = 0;
    for (; end < this.#items.length && end < count; end += 1) {
      sum += (this.#items[end] as Waiting).bytes;
      if (sum > bytes && end > 0) break;
    }
    const taken = this.#items.splice(0, end);
    for (const waiting of taken) this.#release(waiting);
    return taken;
  }

  /** Takes out the requests of such tickets, oldest first, and returns the tickets. */
  dropRequests(isDropped: (ticket: number) => boolean): number[] {
    const dropped: number[] = [];
    if (this.#requests === 0) return dropped;
    this.#items = this.#items.filter((waiting) => {
      if (waiting.input.kind !== "request" || !isDropped(waiting.input.ticket)) return true;
      dropped.push(waiting.input.ticket);
      this.#release(waiting);
      return false;
    });
    return dropped;
  }

  #share(workerId: string): WorkerShare {
    let share = this.#shares.get(workerId);
    if (!share) {
      share = { reportBytes: 0, hellos: [], statuses: 0, heartbeat: undefined };
      this.#shares.set(workerId, share);
    }
    return share;
  }

  #release(waiting: Waiting): void {
    const { input } = waiting;
    switch (input.kind) {
      case "request":
        this.#requests -= 1;
        this.#requestBytes -= waiting.bytes;
        return;
      case "heartbeat":
        this.#share(input.workerId).heartbeat = undefined;
        break;
      case "reports":
        this.#share(input.workerId).reportBytes -= waiting.bytes;
        break;
      case "hello":
        remove(this.#share(input.workerId).hellos, waiting);
        break;
      case "status":
        this.#share(input.workerId).statuses -= 1;
        break;
      case "takenBack":
      case "tick":
      case "place":
        return;
    }
    const share = this.#share(input.workerId);
    if (!share.heartbeat && share.reportBytes === 0 && share.hellos.length === 0 && share.statuses === 0)
      this.#shares.delete(input.workerId);
  }
}

function sameSnapshot({ message: a }: HelloInput, { message: b }: HelloInput): boolean {
  return a.epoch === b.epoch && a.connection === b.connection && a.mono === b.mono;
}

function remove(list: Waiting[], waiting: Waiting): void {
  const at = list.indexOf(waiting);
  if (at >= 0) list.splice(at, 1);
}
