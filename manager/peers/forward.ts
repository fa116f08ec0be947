/** Requests for pools that another manager leads: sent to it once, and answered truthfully whatever becomes of it. */
import { patience, pause } from "../../schema/kit/backoff.ts";
import { peerLimits } from "../../schema/limits/peers.ts";
import { problem, ProblemError } from "../../schema/problem.ts";
import type { Request } from "../control/inputs.ts";
import type { Outcome } from "../control/outputs.ts";
import type { Leader, LeaderBook } from "./book.ts";
import type { PeerCaller } from "./caller.ts";
import { askPath, peerVersion, type Ask, type AskAnswer, type Reasons } from "./messages.ts";

type Elsewhere = Extract<Leader, { readonly kind: "elsewhere" }>;

export interface ForwardDeps {
  /** This manager's name, as in its leases. */
  readonly name: string;
  readonly book: LeaderBook;
  readonly caller: Pick<PeerCaller, "call">;
  /** For a request whose pool turns out to be led here. */
  readonly askHere: (pool: string, request: Request, gone?: AbortSignal) => Promise<Outcome>;
  /** What a leader gives a request at the most. */
  readonly answerWithinMs: number;
  /** How often the lead of pools is looked at while requests are on their way. */
  readonly lookMs: number;
}

/** What became of requests, by pool. */
export type Forwarded = "answered" | "notTaken" | "outcomeUnknown";

interface Asked {
  readonly request: Request;
  readonly gone: AbortSignal | undefined;
}

interface OnItsWay {
  readonly pool: string;
  readonly leader: Elsewhere;
  readonly ending: AbortController;
}

export interface ForwardedOutcome {
  readonly outcome: Outcome;
  readonly reasons: Reasons;
}

export class Forwarder {
  readonly #deps: ForwardDeps;
  readonly #onTheirWay = new Set<OnItsWay>();
  readonly #counts = new Map<string, Record<Forwarded, number>>();
  #bytes = 0;
  #looking = false;

  constructor(deps: ForwardDeps) {
    this.#deps = deps;
  }

  get inFlight(): number {
    return this.#onTheirWay.size;
  }

  get counts(): ReadonlyMap<string, Readonly<Record<Forwarded, number>>> {
    return this.#counts;
  }

  /** Asks the pool's leader; see `ControlPlane.ask`. Sent again only when a manager said that it has not taken it. */
  async ask(pool: string, request: Request, gone?: AbortSignal): Promise<ForwardedOutcome> {
    try {
      const first = await this.#askOnce(pool, { request, gone }, await this.#leaderOf(pool));
      const answered = first ?? (await this.#askAgain(pool, { request, gone }));
      this.#count(pool, "answered");
      return answered;
    } catch (error) {
      const code = error instanceof ProblemError ? error.problem.code : undefined;
      this.#count(pool, code === "not-taken" ? "notTaken" : code === "outcome-unknown" ? "outcomeUnknown" : "answered");
      throw error;
    }
  }

  /** Whoever waits is told that the outcome is unknown, or that nothing was sent; no more than that is known here from now on. */
  close(): void {
    for (const one of this.#onTheirWay) one.ending.abort(new Error("this manager is being shut down"));
  }

  /** Who leads may have changed: what is on its way to a leader that is none any more is let go. */
  look(pool: string): void {
    for (const one of this.#onTheirWay) {
      if (one.pool !== pool || one.ending.signal.aborted) continue;
      const now = this.#deps.book.known(pool);
      if (now) void this.#endUnlessSame(one, now);
    }
  }

  async #leaderOf(pool: string): Promise<Leader> {
    return await this.#deps.book.of(pool).catch((error: unknown) => {
      throw notTaken(`who leads the pool ${pool} cannot be read: ${error instanceof Error ? error.message : String(error)}`, 2);
    });
  }

  async #askAgain(pool: string, asked: Asked): Promise<ForwardedOutcome> {
    const leader = await this.#deps.book.fresh(pool).catch(() => undefined);
    const answered = leader && (await this.#askOnce(pool, asked, leader));
    if (answered) return answered;
    throw notTaken(`the lead of the pool ${pool} is changing; try again`);
  }

  /** Undefined: the manager that was asked has not taken it, because it does not lead the pool. */
  async #askOnce(pool: string, { request, gone }: Asked, leader: Leader): Promise<ForwardedOutcome | undefined> {
    if (leader.kind === "here") return { outcome: await this.#deps.askHere(pool, request, gone), reasons: {} };
    if (leader.kind === "nobody") throw notTaken(`nobody leads the pool ${pool} now; try again`);
    const { name, address } = leader.holder;
    if (address === null) throw notTaken(noAddress(pool, name));
    const ask: Ask = { v: peerVersion, pool, term: leader.term, request };
    const body = JSON.stringify(ask);
    const bytes = Buffer.byteLength(body);
    if (bytes > peerLimits.bodyBytes)
      throw problem(
        "too-large",
        `the request takes ${bytes} bytes between managers, and at most ${peerLimits.bodyBytes} may be sent`,
      );
    if (this.#onTheirWay.size >= peerLimits.inFlight || this.#bytes + bytes > peerLimits.inFlightBytes)
      throw notTaken(`too many requests are on their way to the leader of the pool ${pool}; try again`);
    const one: OnItsWay = { pool, leader, ending: new AbortController() };
    this.#onTheirWay.add(one);
    this.#bytes += bytes;
    void this.#keepLooking();
    // The leader hears of it by the connection, and drops what it has not stepped.
    const giveUp = (): void => one.ending.abort(new Error("its client has gone"));
    gone?.addEventListener("abort", giveUp, { once: true });
    if (gone?.aborted) giveUp();
    try {
      return await this.#send(one, { name, address }, body);
    } finally {
      gone?.removeEventListener("abort", giveUp);
      this.#onTheirWay.delete(one);
      this.#bytes -= bytes;
    }
  }

  async #send(
    one: OnItsWay,
    to: { readonly name: string; readonly address: string },
    body: string,
  ): Promise<ForwardedOutcome | undefined> {
    const reply = await this.#deps.caller.call({
      to,
      path: askPath,
      body,
      withinMs: this.#deps.answerWithinMs + peerLimits.answerGraceMs,
      signal: one.ending.signal,
    });
    const where = `${to.name} at ${to.address}, which leads the pool ${one.pool}`;
    switch (reply.kind) {
      case "unsent":
        throw notTaken(`${where}, cannot be reached: ${reply.why}`);
      case "elsewhere":
        throw notTaken(`${where}, cannot be reached: ${whoAnswers(reply.by, this.#deps.name)}`);
      case "broken":
        throw problem(
          "outcome-unknown",
          `${where}, has not said what became of the request: ${reply.why}; repeat it with the same Idempotency-Key`,
          { retryAfterSeconds: 2 },
        );
      case "answered":
        return this.#read(JSON.parse(reply.text) as AskAnswer);
    }
  }

  #read(answer: AskAnswer): ForwardedOutcome | undefined {
    switch (answer.kind) {
      case "outcome":
        return { outcome: answer.outcome, reasons: answer.reasons };
      case "problem":
        throw new ProblemError(answer.problem);
      case "notLed":
        return undefined;
    }
  }

  /** Of pools that this manager serves the engines tell at once; of others, and to be sure, it is looked at now and then. */
  async #keepLooking(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const never = new AbortController().signal;
    while (this.#onTheirWay.size > 0) {
      await pause(this.#deps.lookMs, never);
      for (const one of this.#onTheirWay) {
        // A store in trouble says nothing; the time that a request has at the most still ends.
        const now = await this.#deps.book.of(one.pool).catch(() => undefined);
        if (now) void this.#endUnlessSame(one, now);
      }
    }
    this.#looking = false;
  }

  async #endUnlessSame(one: OnItsWay, now: Leader): Promise<void> {
    const { holder } = one.leader;
    // Under a higher term it is still the same process: it answers all whom it has taken (rule 19), and has not taken what is late.
    if (now.kind === "elsewhere" && now.holder.name === holder.name) return;
    // A leader that steps down answers everybody before it gives the lease back: what it said may still be on its way.
    await patience(peerLimits.lastWordsMs, one.ending.signal);
    one.ending.abort(new Error(`${holder.name} does not lead any more`));
  }

  #count(pool: string, what: Forwarded): void {
    let counts = this.#counts.get(pool);
    if (!counts) this.#counts.set(pool, (counts = { answered: 0, notTaken: 0, outcomeUnknown: 0 }));
    counts[what] += 1;
  }
}

/** Why the leader of this name cannot be asked. */
export function noAddress(pool: string, name: string): string {
  return `${name} leads the pool ${pool} and announces no address at which other managers reach it (MUSTER_MANAGER_ADDRESS)`;
}

/** Why somebody else is where a leader says that it is. */
export function whoAnswers(by: string, name: string): string {
  return by === name
    ? "that address is this manager's own; either it was that one's, whose lease is waited for, or MUSTER_MANAGER_ADDRESS of one of them is wrong"
    : `${by} answers there; MUSTER_MANAGER_ADDRESS of each manager must lead to it alone`;
}

function notTaken(why: string, retryAfterSeconds = 1): ProblemError {
  return problem("not-taken", `the request was not taken: ${why}`, { retryAfterSeconds });
}
