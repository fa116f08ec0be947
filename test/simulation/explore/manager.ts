import { silentLog } from "../../../schema/kit/log.ts";
import type { Timers } from "../../../schema/kit/clock.ts";
import { timing } from "../../../schema/limits.ts";
import type { Dice, Now } from "../../../schema/given.ts";
import type { Change } from "../../../manager/control/changes.ts";
import type { ControlOptions } from "../../../manager/control/core.ts";
import type { Input, Loaded } from "../../../manager/control/inputs.ts";
import type { Command } from "../../../manager/control/outputs.ts";
import type { LiveState } from "../../../manager/control/records.ts";
import type { ControlState } from "../../../manager/control/state.ts";
import type { CommitOutcome } from "../../../manager/engine/commit.ts";
import type { Lead } from "../../../manager/engine/lead.ts";
import type { Turn } from "../../../manager/engine/turn.ts";
import { copyGraph, freezeGraph } from "./graph.ts";
import type { Parts } from "./parts.ts";
import { copyStore, managerNow, pool, type HeldTurn, type ManagerPart, type World } from "./world.ts";
import type { MemoryHeld } from "../../../manager/store/memory.ts";

/** What becomes of a turn's commit: it is sent and answered; sent and answered with an error, done or not; or not sent yet. */
export type CommitFate = "answered" | "errorUndone" | "errorDone" | "held";

export interface TurnResult {
  readonly part: ManagerPart;
  readonly store: MemoryHeld;
  readonly ids: number;
  readonly changes: readonly Change[];
  readonly commands: readonly { readonly term: number; readonly command: Command }[];
  readonly answers: readonly { readonly ticket: number; readonly kind: string }[];
  /** More than one worker would have done: the turn has another future with `prefer` 1. */
  readonly couldChoose: boolean;
}

const quiet = silentLog();

/** A wait is over as soon as it begins: between two tries of a commit the exploration decides what happens. */
const atOnce: Timers = {
  after: (_ms, act) => {
    queueMicrotask(act);
    return () => undefined;
  },
  afterArrived: queueMicrotask,
};

/**
 * The manager's shell in the exploration: the real core, the real order of a turn and the real commit with its tries, over the
 * memory store's rows and lease. Where it differs from the engine: it is asked to take the lease at any moment.
 */
export class ManagerShell {
  readonly #parts: Parts;
  readonly #options: Omit<ControlOptions, "term">;
  readonly #choice = { prefer: 0, possible: false };

  constructor(parts: Parts, intervals: { readonly unreachable: number; readonly startTtl: number; readonly workerLost: number }) {
    this.#parts = parts;
    const choice = this.#choice;
    this.#options = freezeGraph({
      pool,
      timing: {
        ...timing,
        heartbeatMs: 1_000,
        unreachableIntervals: intervals.unreachable,
        startTtlIntervals: intervals.startTtl,
        workerLostIntervals: intervals.workerLost,
        resendFirstMs: 1_000,
        resendMaxMs: 4_000,
        startResendMs: 3_000,
        brakeHoldMs: 15_000,
        watchdogTickMs: 250,
      },
      limits: { queueWindow: 4, waitingRuns: 100, prefetch: 0, taskCache: 3, logStreamBytes: 1_000_000 },
      placement: {
        choose: (_run, open, fits) => {
          const all = Array.from({ length: open.size }, (_, at) => open.at(at))
            .filter(fits)
            .toSorted((a, b) => (a.id < b.id ? -1 : 1));
          if (all.length > 1) choice.possible = true;
          return all[choice.prefer % Math.max(1, all.length)];
        },
      },
      sign: (text) => `s${text.length}`,
    } satisfies Omit<ControlOptions, "term">);
  }

  /** Takes the term and loads what the store holds, as a new life of manager `at`. */
  async takeOver(world: World, at: number): Promise<{ readonly part: ManagerPart; readonly store: MemoryHeld }> {
    const held = copyStore(world.store);
    const store = this.#parts.memory.openMemoryStore(held);
    const lease = await store.takeLease(pool, `m${at + 1}`, await store.readLease(pool), 0);
    if (!lease) throw new Error("the lease was not given");
    const state = this.#load(await store.loadLive(pool), lease.term, managerNow(at, world.nowMs));
    return { part: { lead: { state, term: lease.term, batch: lease.batch, keptMs: 0 }, inbox: [], held: null }, store: held };
  }

  #load(live: LiveState, term: number, now: Now): ControlState {
    return this.#parts.create.createControl({ ...this.#options, term }, freezeGraph(live), now);
  }

  isDue(world: World, at: number): boolean {
    const lead = world.managers[at]?.lead;
    if (!lead) return false;
    const due = this.#parts.due.nextDue(lead.state);
    return due !== null && due <= managerNow(at, world.nowMs).mono;
  }

  /** One turn of manager `at` with these inputs. */
  async turn(world: World, at: number, inputs: readonly Input[], fate: CommitFate, prefer: number): Promise<TurnResult> {
    const { lead } = world.managers[at] as ManagerPart;
    if (!lead) throw new Error("a manager that does not lead takes no turn");
    const now = managerNow(at, world.nowMs);
    return await this.#play(world, lead, {
      turn: { before: lead.state, inputs, loads: [], now, firstId: world.ids, ids: 0, prefer, errors: 0 },
      fate,
      again: false,
    });
  }

  /** The turn that was held goes on with its commit. */
  async goOn(world: World, at: number, fate: Exclude<CommitFate, "held">): Promise<TurnResult> {
    const { lead, held } = world.managers[at] as ManagerPart;
    if (!lead || !held) throw new Error("nothing is held");
    return await this.#play(world, lead, { turn: held, fate, again: true });
  }

  async #play(world: World, lead: Lead, play: { turn: HeldTurn; fate: CommitFate; again: boolean }): Promise<TurnResult> {
    const { turn, fate, again } = play;
    const state = copyControl(turn.before);
    const held = copyStore(world.store);
    const store = this.#parts.memory.openMemoryStore(held);
    const loads: (readonly Loaded[])[] = [];
    let ids = 0;
    const dice: Dice = { id: () => `a${turn.firstId + ids++ + 1}`, below: () => 0 };
    this.#choice.prefer = turn.prefer;
    this.#choice.possible = false;
    const out: { turn: Turn | undefined; released: Turn | undefined; committed: Turn | undefined } = {
      turn: undefined,
      released: undefined,
      committed: undefined,
    };
    let fresh = { ...lead };
    let errors = turn.errors;
    let letOutLate = !again;
    const end = await new Promise<string>((resolve, reject) => {
      this.#parts.turn
        .runTurn(state, turn.inputs, {
          load: async (needs) => {
            const read = again ? (turn.loads[loads.length] ?? []) : freezeGraph(await store.load(pool, needs));
            loads.push(read);
            return read;
          },
          now: () => turn.now,
          dice,
          commit: async (made) => {
            out.turn = made;
            letOutLate = true;
            if (fate === "held") {
              resolve("held");
              return await new Promise<never>(() => undefined);
            }
            const outcome = await this.#commit(store, lead, made, fate, errors);
            if (outcome === "error") {
              errors += 1;
              resolve("held");
              return await new Promise<never>(() => undefined);
            }
            if (outcome === "applied" && writes(made)) fresh = { ...fresh, batch: fresh.batch + 1 };
            return outcome;
          },
          // What left before its commit left when the turn was made, not again when it goes on.
          letOut: (made) => {
            if (letOutLate) out.released = made;
          },
          onBroken: reject,
        })
        .then(resolve, reject);
    });
    const made = out.turn;
    const isHeld = end === "held";
    const released = out.released && this.#release({ ...fresh, state }, turn.inputs, out.released);
    // Only what this very try wrote: a commit may have been done before, with an error for an answer.
    const applied = held.leases.get(pool)?.batch !== world.store.leases.get(pool)?.batch;
    return {
      part: this.#partAfter({ end, state, lead: fresh, before: turn.before }, isHeld ? { ...turn, loads, ids, errors } : null),
      store: held,
      ids: again ? world.ids : world.ids + ids,
      changes: applied && made ? freezeGraph(made.changes) : [],
      commands: released?.commands ?? [],
      answers: released?.answers ?? [],
      couldChoose: this.#choice.possible,
    };
  }

  #partAfter(
    after: { readonly end: string; readonly state: ControlState; readonly lead: Lead; readonly before: ControlState },
    held: HeldTurn | null,
  ): ManagerPart {
    const { end, state, lead, before } = after;
    if (held) return { lead: { ...lead, state: before }, inbox: [], held };
    if (end === "applied") return { lead: { ...lead, state }, inbox: [], held: null };
    // Refused for good: the engine loads everything anew under another term, as a takeover does (rule 19).
    if (end === "deposed" || end === "failed") return { lead: null, inbox: [], held: null };
    throw new Error(`a turn ended ${end}`);
  }

  /** As the engine's own: nothing to write and nothing to say needs no commit. `error`: its answer was one. */
  async #commit(
    store: ReturnType<Parts["memory"]["openMemoryStore"]>,
    lead: Lead,
    turn: Turn,
    fate: CommitFate,
    earlierErrors: number,
  ): Promise<"applied" | "deposed" | "failed" | "stopped" | "error"> {
    if (!writes(turn)) return "applied";
    const enough = new AbortController();
    const { StoreError } = this.#parts.store;
    let tries = 0;
    const outcome: CommitOutcome = await this.#parts.commit.commitUntilHeld(
      { pool, term: lead.term, batch: lead.batch + 1, changes: turn.changes },
      {
        store: {
          commit: async (batch) => {
            tries += 1;
            const unknown = (): Error => new StoreError("transient", false, "the connection was lost");
            if (tries <= earlierErrors) throw unknown();
            if (fate === "answered") return await store.commit(batch);
            if (fate === "errorDone") await store.commit(batch);
            enough.abort();
            throw unknown();
          },
          readLease: (name) => store.readLease(name),
        },
        signal: enough.signal,
        onTrouble: () => undefined,
        retry: { firstMs: 0, maxMs: 0 },
        timers: atOnce,
      },
    );
    return outcome.kind === "stopped" ? "error" : outcome.kind;
  }

  #release(lead: Lead, inputs: readonly Input[], turn: Turn): Pick<TurnResult, "commands" | "answers"> {
    const taken = inputs.map((input) => ({ input, bytes: 0, arrivedMs: 0 }));
    const released = this.#parts.release.release(lead, taken, turn.steps, new Map(), managerNow(0, 0), quiet);
    return {
      commands: released.commands.map((command) => ({ term: lead.term, command: freezeGraph(command) })),
      answers: released.answers.map(({ ticket, outcome }) => ({ ticket, kind: outcome.kind })),
    };
  }
}

function writes(turn: Turn): boolean {
  return turn.changes.length > 0 || turn.steps.some((step) => step.commands.length > 0);
}

/** The sets of open workers read themselves by a function: each copy gets its own. */
function copyControl(state: ControlState): ControlState {
  const copy = copyGraph(state);
  for (const set of [copy.free, copy.eager, copy.takers]) set.at = (index) => set.list[index] as (typeof set.list)[number];
  return copy;
}
