import { silentLog } from "../../schema/kit/log.ts";
import { timing } from "../../schema/limits.ts";
import type { Commands } from "../../schema/messages.ts";
import type { UplinkKind } from "../../schema/topics.ts";
import type { Change } from "../../manager/control/changes.ts";
import type { Input, Request } from "../../manager/control/inputs.ts";
import type { Outcome } from "../../manager/control/outputs.ts";
import type { Lead } from "../../manager/engine/lead.ts";
import type { Waiting } from "../../manager/engine/queue.ts";
import type { Store } from "../../manager/store/store.ts";
import type { Problem } from "../../schema/problem.ts";
import type { Product } from "./product.ts";
import type { Schedule } from "./schedule.ts";
import type { Chance } from "./seeded.ts";

export const simTiming = {
  ...timing,
  heartbeatMs: 1_000,
  resendFirstMs: 500,
  resendMaxMs: 4_000,
  startResendMs: 10_000,
  brakeHoldMs: 15_000,
};

/** What waits for a turn; more is dropped, and returns by being resent. */
const inboxInputs = 200;

export type Death = "beforeCommit" | "afterCommit";
export type SimAnswer = Outcome | { readonly kind: "problem"; readonly problem: Problem };

export interface ManagerEnds {
  readonly product: Product;
  readonly schedule: Schedule;
  readonly chance: Chance;
  /** A downlink envelope on its way to a worker. */
  readonly publish: (workerId: string, envelope: Commands) => void;
  /** Every change that became durable, in order. */
  readonly committed: (changes: readonly Change[]) => void;
  readonly broken: (error: unknown) => void;
}

/** The manager's shell in the simulation: the real core and the real order of a turn, over the memory store. */
export class SimManager {
  readonly store: Store;
  readonly #ends: ManagerEnds;
  #lead: Lead | undefined;
  #inbox: Waiting[] = [];
  #turning = false;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #tickets = 0;
  readonly #answers = new Map<number, (answer: SimAnswer) => void>();
  /** Set by the world: die at the next commit. */
  dieAt: Death | undefined;
  lives = 0;
  #pausedUntilMs = 0;

  constructor(ends: ManagerEnds) {
    this.#ends = ends;
    this.store = ends.product.memory.openMemoryStore();
  }

  get up(): boolean {
    return this.#lead !== undefined;
  }

  async start(): Promise<void> {
    const { product, schedule } = this.#ends;
    this.lives += 1;
    const lease = await this.store.takeLease("default", `m${this.lives}`, await this.store.readLease("default"), 0);
    if (!lease) throw new Error("the lease was not given");
    const live = await this.store.loadLive("default");
    const options = {
      pool: "default",
      term: lease.term,
      timing: simTiming,
      limits: { queueWindow: 20, waitingRuns: 10_000, prefetch: 2, taskCache: 3, logStreamBytes: 1_000_000 },
      placement: product.roundRobin.default(),
      sign: (text: string) => `s${text.length}`,
    };
    const state = product.create.createControl(options, live, this.#now());
    this.#lead = { state, term: lease.term, batch: lease.batch };
    this.#plan(schedule.nowMs);
  }

  /** SIGSTOP and, later, SIGCONT: it takes no turn, and what comes piles up until its inbox is full (rule 16). */
  pause(forMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#ends.schedule.nowMs + forMs);
  }

  /** kill -9: whatever waited and whoever waited is gone. */
  die(): void {
    this.#lead = undefined;
    this.#inbox = [];
    this.#pausedUntilMs = 0;
    this.#answers.clear();
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    this.dieAt = undefined;
  }

  ask(request: Request, answered: (answer: SimAnswer) => void): void {
    if (!this.#lead) return;
    this.#tickets += 1;
    this.#answers.set(this.#tickets, answered);
    this.#post({ kind: "request", ticket: this.#tickets, request });
  }

  receive(workerId: string, kind: UplinkKind, message: unknown): void {
    if (!this.#lead) return;
    const parsed = this.#ends.product.inbox.parseUplink(workerId, kind, Buffer.from(JSON.stringify(message)));
    if (parsed.kind === "input") this.#post(parsed.input);
    else if (parsed.kind === "unreadable") this.#ends.broken(new Error(`the worker's ${kind} is unreadable: ${parsed.why}`));
  }

  #post(input: Input): void {
    if (this.#inbox.length >= inboxInputs) return;
    this.#inbox.push({ input, bytes: 0, arrivedMs: this.#ends.schedule.nowMs });
    this.#plan(this.#ends.schedule.nowMs + this.#ends.chance.between(0, 5));
  }

  /** The manager's monotonic clock begins anew with each life; wall time is the world's. */
  #now(): { readonly mono: number; readonly wall: number } {
    const { nowMs } = this.#ends.schedule;
    return { mono: nowMs + this.lives * 1_000_000, wall: 1_800_000_000_000 + nowMs };
  }

  #plan(atMs: number): void {
    if (atMs >= this.#dueAtMs) return;
    this.#dueAtMs = atMs;
    const life = this.lives;
    this.#ends.schedule.after(atMs - this.#ends.schedule.nowMs, async () => {
      if (life !== this.lives || !this.#lead || this.#dueAtMs !== atMs || this.#turning) return;
      this.#dueAtMs = Number.POSITIVE_INFINITY;
      if (this.#pausedUntilMs > atMs) return this.#plan(this.#pausedUntilMs);
      await this.#turn(this.#lead);
    });
  }

  async #turn(lead: Lead): Promise<void> {
    const { product, schedule, chance, broken } = this.#ends;
    this.#turning = true;
    const taken: Waiting[] = [...this.#inbox, { input: { kind: "tick" }, bytes: 0, arrivedMs: schedule.nowMs }];
    this.#inbox = [];
    await product.turn.runTurn(
      lead.state,
      taken.map((waiting) => waiting.input),
      {
        load: (needs) => this.store.load("default", needs),
        now: () => this.#now(),
        dice: chance.dice,
        commit: async (turn) => {
          if (this.dieAt === "beforeCommit") {
            this.die();
            return "stopped";
          }
          const result = await this.store.commit({
            pool: "default",
            term: lead.term,
            batch: lead.batch + 1,
            changes: turn.changes,
          });
          if (result === "applied") {
            lead.batch += 1;
            this.#ends.committed(turn.changes);
          }
          if (this.dieAt !== "afterCommit") return result;
          this.die();
          return "stopped";
        },
        letOut: ({ steps }) => this.#letOut(lead, taken, steps),
        onBroken: broken,
      },
    );
    this.#turning = false;
    if (this.#lead !== lead) return;
    const due = product.due.nextDue(lead.state);
    const soonest = this.#inbox.length > 0 ? 0 : Math.min(1_000, due === null ? 1_000 : due - this.#now().mono);
    this.#plan(schedule.nowMs + Math.max(1, soonest));
  }

  #letOut(lead: Lead, taken: readonly Waiting[], steps: Parameters<Product["release"]["release"]>[2]): void {
    const released = this.#ends.product.release.release(lead, taken, steps, new Map(), this.#now(), silentLog());
    for (const answer of released.answers) {
      this.#answers.get(answer.ticket)?.(answer.outcome);
      this.#answers.delete(answer.ticket);
    }
    for (const command of released.commands)
      this.#ends.publish(command.workerId, { v: 1, term: lead.term, asOf: command.asOf, items: command.items });
  }
}
