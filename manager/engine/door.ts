import { processTimers, type Timers } from "../../schema/kit/clock.ts";
import { problem, ProblemError } from "../../schema/problem.ts";
import type { Answer, Outcome } from "../control/outputs.ts";

interface Waiter {
  readonly gone: AbortSignal | undefined;
  /** Its request is with the core, or was: whether it comes to anything only a commit says. */
  stepping: boolean;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: ProblemError) => void;
  readonly cancel: () => void;
}

/**
 * Clients that wait for an answer. Each is answered exactly once: by the core's outcome after the commit, or by a 503 that
 * says truthfully whether the request was taken (rule 20).
 */
export class Door {
  readonly #waiters = new Map<number, Waiter>();
  readonly #answerWithinMs: number;
  readonly #timers: Timers;
  #lastTicket = 0;

  constructor(options: { readonly answerWithinMs: number; readonly timers?: Timers | undefined }) {
    this.#answerWithinMs = options.answerWithinMs;
    this.#timers = options.timers ?? processTimers;
  }

  /**
   * A new waiter, until `gone` is aborted. Unanswered after `answerWithinMs` it is told that the outcome is unknown, and the batch goes
   * on without it; or, when its request was not stepped by then, that it was not taken.
   */
  open(gone?: AbortSignal): { readonly ticket: number; readonly outcome: Promise<Outcome> } {
    this.#lastTicket += 1;
    const ticket = this.#lastTicket;
    const outcome = new Promise<Outcome>((resolve, reject) => {
      const cancel = this.#timers.after(this.#answerWithinMs, () => this.#late(ticket));
      this.#waiters.set(ticket, { resolve, reject, cancel, gone, stepping: false });
    });
    return { ticket, outcome };
  }

  /** Whether anybody waits for the answer still. */
  waits(ticket: number): boolean {
    const waiter = this.#waiters.get(ticket);
    return waiter !== undefined && waiter.gone?.aborted !== true;
  }

  /** From now on its outcome is in doubt until the commit has held. */
  stepping(ticket: number): void {
    const waiter = this.#waiters.get(ticket);
    if (waiter) waiter.stepping = true;
  }

  answer(answer: Answer): void {
    const waiter = this.#take(answer.ticket);
    if (!waiter) return;
    if (answer.outcome.kind === "problem") waiter.reject(new ProblemError(answer.outcome.problem));
    else waiter.resolve(answer.outcome);
  }

  /** It was never stepped. */
  notTaken(ticket: number, why: string): void {
    this.#take(ticket)?.reject(problem("not-taken", `the request was not taken: ${why}`, { retryAfterSeconds: 2 }));
  }

  /** It was stepped and may or may not be durable. */
  unknown(ticket: number): void {
    this.#take(ticket)?.reject(
      problem("outcome-unknown", "the database has not confirmed the request in time; repeat it with the same Idempotency-Key", {
        retryAfterSeconds: 2,
      }),
    );
  }

  /** Nobody will ever answer those that are left: each was stepped, or its step was thrown away with the state. */
  unknownAll(): void {
    for (const ticket of this.#waiters.keys()) this.unknown(ticket);
  }

  /** It cannot be: the store or the core refused this very request for good. */
  fail(ticket: number, why: string): void {
    this.#take(ticket)?.reject(problem("internal", why));
  }

  #late(ticket: number): void {
    if (this.#waiters.get(ticket)?.stepping) this.unknown(ticket);
    else this.notTaken(ticket, "too many requests were before it; try again");
  }

  #take(ticket: number): Waiter | undefined {
    const waiter = this.#waiters.get(ticket);
    if (!waiter) return undefined;
    this.#waiters.delete(ticket);
    waiter.cancel();
    return waiter;
  }
}
