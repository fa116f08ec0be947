/**
 * The manager's engine for one pool: take what waits → step the core → commit in one transaction → only then publish and
 * answer. What arrives during a commit is the next batch, so throughput does not hang on the database's fsync.
 */
import { Service } from "../../schema/kit/service.ts";
import { managerLimits } from "../../schema/limits.ts";
import { problem } from "../../schema/problem.ts";
import { createControl } from "../control/create.ts";
import { nextDue } from "../control/due.ts";
import type { Input, Request } from "../control/inputs.ts";
import type { Outcome } from "../control/outputs.ts";
import type { ControlState } from "../control/state.ts";
import { becomeLeader, giveLeaseBack } from "../leader.ts";
import type { LeaseRow, StoreError } from "../store/store.ts";
import { commitUntilHeld, readUntilHeld, type CommitDeps, type CommitOutcome } from "./commit.ts";
import type { EngineDeps } from "./deps.ts";
import { Furthest } from "./furthest.ts";
import { Intake } from "./intake.ts";
import { keepingLease, type KeptLease } from "./keep-lease.ts";
import type { Lead } from "./lead.ts";
import { LogAcks, type LogAck, type LogAcksTaken } from "./log-acks.ts";
import type { Waiting } from "./queue.ts";
import { release } from "./release.ts";
import { retakeLease } from "./retake.ts";
import { salvage, type Onward } from "./salvage.ts";
import { TroubleBook, type Trouble } from "./trouble.ts";
import { runTurn, stepBatch, type Decided, type Turn, type TurnDeps } from "./turn.ts";
import { untilArrived, untilWoken } from "./wake.ts";

const commitRetry = { firstMs: 50, maxMs: 2_000 };

export class PoolEngine extends Service {
  readonly name: string;
  readonly #deps: EngineDeps;
  readonly #intake: Intake;
  readonly #logAcks = new LogAcks();
  readonly #trouble: TroubleBook;
  readonly #furthest = new Furthest();
  #lead: Lead | undefined;
  #seen: LeaseRow | null | undefined;
  #wake: () => void = () => undefined;
  #lastTickMs = 0;

  constructor(deps: EngineDeps) {
    super();
    this.name = `engine of pool ${deps.options.pool}`;
    this.#deps = deps;
    this.#intake = new Intake({ answerWithinMs: deps.timing.answerWithinMs, timers: deps.timers });
    this.#trouble = new TroubleBook({ clock: deps.clock, log: deps.log, pool: deps.options.pool, watch: deps.watch });
  }

  /** The state of a leader, for reading between turns; undefined while this manager does not lead. */
  get lead(): Lead | undefined {
    return this.#lead;
  }

  /** The lease as this manager read it last; undefined before its first look. */
  get lease(): LeaseRow | null | undefined {
    return this.#seen;
  }

  /** Why requests are refused and reports not acknowledged; undefined while the store works. */
  get trouble(): Trouble | undefined {
    return this.#trouble.now;
  }

  /** Steps a client's request; see `ControlPlane.ask`. */
  ask(request: Request, gone?: AbortSignal): Promise<Outcome> {
    if (!this.#lead) throw problem("not-taken", "this manager does not lead the pool yet; try again", { retryAfterSeconds: 1 });
    if (this.trouble)
      throw problem("not-taken", `the database does not take writes now: ${this.trouble.sentence}`, { retryAfterSeconds: 2 });
    const outcome = this.#intake.ask(request, this.#deps.clock.now().mono, gone);
    this.#wake();
    return outcome;
  }

  /** Takes a worker's message; false when the worker has too much waiting and it was dropped. */
  post(input: Extract<Input, { readonly workerId: string }>, bytes: number): boolean {
    // Without a lead nothing can be decided and nothing may be acknowledged: the worker sends it again (rule 13).
    if (!this.#lead) return false;
    const taken = this.#intake.post(input, bytes, this.#deps.clock.now().mono);
    if (taken) this.#wake();
    return taken;
  }

  /** Tells a worker that its output is stored, with the next batch. */
  acknowledgeLogs(workerId: string, ack: LogAck): void {
    // Stored it is, but only a leader may say so (rule 15): the next one will, when the worker sends it again.
    if (!this.#lead) return;
    this.#logAcks.put(workerId, ack);
    this.#wake();
  }

  protected async loop(signal: AbortSignal): Promise<void> {
    let aboveTerm = 0;
    while (!signal.aborted) {
      const { store, clock, holder, timers, timing, options, log } = this.#deps;
      const onTrouble = (error: Error): void => this.#trouble.say(error.message);
      const onSeen = (row: LeaseRow | null): void => this.#onSeen(row);
      const lease = await becomeLeader(
        { store, pool: options.pool, holder, clock, timers, timing, signal, onTrouble, onSeen },
        Math.max(aboveTerm, this.#furthest.term),
      );
      if (!lease) break;
      this.#seen = lease;
      try {
        aboveTerm = await this.#leadUntilDeposed(lease, signal);
      } catch (error) {
        // Told to stop while it waited for a store that is away: there is nothing to lead, and no bug.
        if (!signal.aborted) throw error;
      } finally {
        const term = this.#lead?.term ?? lease.term;
        // A database that was switched to a replica that lags would give a term that workers have obeyed already.
        aboveTerm = Math.max(aboveTerm, term);
        this.#lead = undefined;
        this.#seen = undefined;
        this.#intake.refuseAll("this manager does not lead the pool any more");
        this.#logAcks.take();
        this.#deps.onLead?.();
        await giveLeaseBack(store, { pool: options.pool, term }, timing.leaseRenewMs, timers);
      }
      if (!signal.aborted)
        log.warn({ pool: options.pool, term: aboveTerm }, "leadership is lost; the core's state is thrown away");
    }
  }

  /** A candidate looked. What is told on is only who leads: the rest of the row moves all the time. */
  #onSeen(row: LeaseRow | null): void {
    const moved = row?.term !== this.#seen?.term || row?.holder !== this.#seen?.holder;
    this.#seen = row;
    if (row) this.#furthest.see(row);
    this.#trouble.over();
    if (moved) this.#deps.onLead?.();
  }

  async #leadUntilDeposed(lease: LeaseRow, signal: AbortSignal): Promise<number> {
    const { log, options, clock } = this.#deps;
    const kept = { term: lease.term, keptMs: clock.now().mono, takenBack: this.#furthest.lackedBy(lease) };
    this.#furthest.see(lease);
    // One object from the start: what the load renews is this lead's lease.
    const lead: Lead = Object.assign(kept, { state: await this.#load(kept, signal), batch: lease.batch });
    this.#lead = lead;
    this.#deps.onLead?.();
    log.info({ pool: options.pool, term: lease.term, takenBack: lead.takenBack }, "leads the pool");
    let aboveTerm = 0;
    while (!signal.aborted && this.#lead === lead) {
      await this.#untilSomethingWaits(lead, signal);
      if (signal.aborted) break;
      const again = await this.#turn(lead, signal);
      if (again !== "lead") {
        aboveTerm = again.aboveTerm;
        break;
      }
    }
    return aboveTerm;
  }

  /** One batch, whole. Says whether to go on leading, and above which term to lead again when not (rule 28). */
  async #turn(lead: Lead, signal: AbortSignal): Promise<Onward> {
    const { taken, left } = this.#intake.take(managerLimits.batchInputs, managerLimits.batchBytes);
    if (left > 0) this.#deps.watch?.requestsLeft?.(this.#deps.options.pool, left);
    const nowMs = this.#deps.clock.now().mono;
    if (this.#msToTick(lead, nowMs) <= 0) {
      this.#lastTickMs = nowMs;
      taken.push({ input: { kind: "tick" }, bytes: 0, arrivedMs: nowMs });
    }
    const { options, log } = this.#deps;
    const why = lead.takenBack;
    if (why !== undefined) taken.unshift({ input: { kind: "takenBack", why }, bytes: 0, arrivedMs: nowMs });
    lead.takenBack = undefined;
    // What is stored from here on has the next batch's lease check: this one's begins before it (rule 15).
    const logAcks = this.#logAcks.take();
    let onward: Onward = "lead";
    const end = await runTurn(
      lead.state,
      taken.map((waiting) => waiting.input),
      {
        ...this.#reading(lead, signal),
        commit: (turn) => this.#commit(lead, turn, logAcks, signal),
        letOut: (held) => {
          onward = this.#letOut(lead, taken, held, logAcks);
        },
        onBroken: (error) => {
          if (!signal.aborted)
            log.error({ err: error, pool: options.pool }, "the core could not step a batch; its inputs are tried one by one");
        },
      },
    );
    if (end === "applied") return onward;
    const cannotBe = (end === "failed" || end === "broken") && !signal.aborted;
    return cannotBe ? await this.#salvage(lead, taken, signal) : { aboveTerm: 0 };
  }

  /** Commits a turn's changes as the next batch of the lead. */
  async #commit(lead: Lead, turn: Decided, logAcks: LogAcksTaken, signal: AbortSignal): Promise<CommitOutcome["kind"]> {
    const { store, options, log, clock, timing } = this.#deps;
    const speaks = turn.steps.some((step) => step.commands.length > 0 || step.answers.length > 0) || logAcks.size > 0;
    const begunMs = clock.now().mono;
    const isStale = begunMs - lead.keptMs >= timing.leaseRenewMs;
    // Nothing to write: where the OS lock is the lease, holding it is the check. Elsewhere an empty batch is, before anything
    // is said (rule 15) and often enough that nobody takes the lease of a leader that has nothing to do (rules 11, 18).
    if (turn.changes.length === 0 && (store.leaseIsLock || !(speaks || isStale))) return "applied";
    const outcome = await commitUntilHeld(
      { pool: options.pool, term: lead.term, batch: lead.batch + 1, changes: turn.changes },
      { store, ...this.#patience(signal) },
    );
    if (outcome.kind === "applied" || (outcome.kind === "failed" && outcome.numberUsed)) lead.batch += 1;
    if (outcome.kind === "applied") {
      lead.keptMs = begunMs;
      if (turn.changes.length > 0) this.#furthest.see(lead);
    }
    if (outcome.kind === "failed") log.error({ err: outcome.error, pool: options.pool }, "the store refused a batch for good");
    if (outcome.kind !== "stopped") this.#trouble.over();
    return outcome.kind;
  }

  /** The batch holds: answers, commands and events go out, each input gets its log line. */
  #letOut(lead: Lead, taken: readonly Waiting[], { steps, changes, times }: Turn, logAcks: LogAcksTaken): Onward {
    const { clock, log, options, watch } = this.#deps;
    const now = clock.now();
    const released = release(lead, taken, steps, logAcks, now, log);
    watch?.held({ pool: options.pool, taken, steps, changes: changes.length, times: { ...times, heldMs: now.mono } });
    for (const answer of released.answers) this.#intake.answer(answer);
    for (const command of released.commands) this.#deps.send(command.workerId, lead.term, command);
    const events = changes.flatMap((change) => (change.op === "insertEvent" ? [change.row] : []));
    if (events.length > 0) this.#deps.onEvents(events);
    return released.higherTerm === undefined ? "lead" : { aboveTerm: released.higherTerm };
  }

  async #salvage(lead: Lead, taken: readonly Waiting[], signal: AbortSignal): Promise<Onward> {
    return await salvage(taken, {
      engine: this.#deps,
      reload: () => this.#reload(lead, signal),
      stepOne: (input) => stepBatch(lead.state, [input], this.#reading(lead, signal)),
      commit: (turn) => this.#commit(lead, turn, new Map(), signal),
      letOut: (waiting, turn) => this.#letOut(lead, [waiting], turn, new Map()),
      failRequest: (ticket, reason) => this.#intake.fail(ticket, reason),
    });
  }

  /** The state anew, under a term of its own: what was sent until now is on its way still, and nobody knows of it any more (rule 7). */
  async #reload(lead: Lead, signal: AbortSignal): Promise<boolean> {
    const { store, options, holder } = this.#deps;
    const lease = await this.#read(() => retakeLease(store, options.pool, holder, lead.term), lead, signal);
    if (!lease) return false;
    this.#seen = lease;
    lead.term = lease.term;
    // Taken back under our feet: it begins anew, and says so with its first batch.
    if (this.#furthest.lackedBy(lease) !== undefined) return false;
    this.#furthest.see(lease);
    lead.batch = lease.batch;
    lead.state = await this.#load(lead, signal);
    return true;
  }

  /** A store that cannot be read is waited for: nothing has been decided yet, so nothing is lost. */
  #reading(lead: Lead, signal: AbortSignal): TurnDeps {
    const { clock, dice, options, store } = this.#deps;
    const load: TurnDeps["load"] = (needs) => this.#read(() => store.load(options.pool, needs), lead, signal);
    return { load, now: () => clock.now(), dice };
  }

  /** Loads the live state; where the store is away, waits for it. */
  async #load(lease: KeptLease, signal: AbortSignal): Promise<ControlState> {
    const { store, options, clock } = this.#deps;
    const live = await this.#read(() => store.loadLive(options.pool), lease, signal);
    return createControl({ ...options, term: lease.term }, live, clock.now());
  }

  async #read<T>(read: () => Promise<T>, lease: KeptLease, signal: AbortSignal): Promise<T> {
    const result = await readUntilHeld(keepingLease(read, lease, this.#deps), this.#patience(signal));
    this.#trouble.over();
    return result;
  }

  #patience(signal: AbortSignal): Omit<CommitDeps, "store"> {
    return { signal, retry: commitRetry, timers: this.#deps.timers, onTrouble: (error) => this.#onCommitTrouble(error) };
  }

  /** Until the next tick; not above 0 when it is due. */
  #msToTick(lead: Lead, nowMs: number): number {
    const latestMs = this.#lastTickMs + this.#deps.timing.tickMs;
    return Math.min(latestMs, nextDue(lead.state) ?? latestMs) - nowMs;
  }

  async #untilSomethingWaits(lead: Lead, signal: AbortSignal): Promise<void> {
    if (this.#intake.size === 0 && this.#logAcks.size === 0) {
      const delayMs = Math.max(0, this.#msToTick(lead, this.#deps.clock.now().mono));
      await untilWoken(delayMs, { signal, timers: this.#deps.timers }, (wake) => (this.#wake = wake));
      this.#wake = () => undefined;
    }
    // Once every socket that is ready has been read: else a commit that blocks the loop made batches of one of 64 requests.
    await untilArrived(this.#deps.timers);
  }

  #onCommitTrouble({ message }: StoreError): void {
    this.#trouble.say(message);
    this.#intake.refuse(message); // Rule 20: who has not been stepped learns at once that nothing happened.
  }
}
