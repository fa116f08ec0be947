/** What waits for an engine's next turn: requests, with those who wait for their answers, and workers' messages. */
import type { Timers } from "../../schema/kit/clock.ts";
import { problem } from "../../schema/problem.ts";
import type { Input, Request } from "../control/inputs.ts";
import type { Answer, Outcome } from "../control/outputs.ts";
import { Door } from "./door.ts";
import { InputQueue, type Waiting } from "./queue.ts";

export class Intake {
  readonly #queue = new InputQueue();
  readonly #door: Door;

  constructor(options: { readonly answerWithinMs: number; readonly timers?: Timers | undefined }) {
    this.#door = new Door(options);
  }

  get size(): number {
    return this.#queue.size;
  }

  /** Throws `not-taken` when too many wait. `gone` says that nobody waits for the answer any more. */
  ask(request: Request, arrivedMs: number, gone?: AbortSignal): Promise<Outcome> {
    if (this.#queue.isFull) throw problem("not-taken", "too many requests wait; try again", { retryAfterSeconds: 1 });
    const { ticket, outcome } = this.#door.open(gone);
    this.#queue.pushRequest({ kind: "request", ticket, request }, arrivedMs);
    return outcome;
  }

  /** False: the worker has too much waiting, and the message is dropped. */
  post(input: Extract<Input, { readonly workerId: string }>, bytes: number, arrivedMs: number): boolean {
    return this.#queue.pushMessage(input, bytes, arrivedMs);
  }

  /**
   * The next batch's inputs, oldest first, without requests that nobody waits for. After an overload these are thousands, whose clients
   * have asked again meanwhile: each that is stepped delays one who still waits, until nobody is answered in time. `left` counts them.
   */
  take(count: number, bytes: number): { readonly taken: Waiting[]; readonly left: number } {
    const left = this.#queue.dropRequests((ticket) => !this.#door.waits(ticket));
    for (const ticket of left) this.#door.notTaken(ticket, "nobody waits for its answer any more");
    const taken = this.#queue.take(count, bytes);
    for (const { input } of taken) if (input.kind === "request") this.#door.stepping(input.ticket);
    return { taken, left: left.length };
  }

  answer(answer: Answer): void {
    this.#door.answer(answer);
  }

  /** It cannot be: the store or the core refused this very request for good. */
  fail(ticket: number, why: string): void {
    this.#door.fail(ticket, why);
  }

  /** Tells those whose request was not stepped that nothing happened (rule 20). */
  refuse(why: string): void {
    for (const ticket of this.#queue.dropRequests(() => true)) this.#door.notTaken(ticket, why);
  }

  /** Answers everybody who waits, truthfully: what is still in the queue was never stepped, of the rest nobody knows (rule 18). */
  refuseAll(why: string): void {
    this.refuse(why);
    this.#door.unknownAll();
    this.#queue.take(Number.MAX_SAFE_INTEGER);
  }
}
