import type { Change } from "../../manager/control/changes.ts";
import type { AttemptRecord, EventRecord, RunRecord } from "../../manager/control/records.ts";
import type { Batch, Store } from "../../manager/store/store.ts";
import type { End } from "../../schema/end.ts";
import { parseEpoch } from "../../schema/ids.ts";
import { isTerminal, runMoves, type AttemptState, type RunState } from "../../schema/run.ts";
import type { LedgerEntry } from "../../worker/agent/records.ts";
import type { Clients } from "./clients.ts";
import type { Counters } from "./counters.ts";
import type { Asker } from "./database.ts";
import { isGuess, Losses } from "./losses.ts";
import { Successors } from "./successors.ts";
import type { Plan } from "./plan.ts";
import type { Schedule } from "./schedule.ts";
import { eventText } from "./story.ts";
import type { Trace } from "./trace.ts";
import { untruth } from "./truth.ts";
import type { Witness } from "./witness.ts";

const attemptOrder: Readonly<Record<AttemptState, number>> = { sent: 0, accepted: 1, running: 2, stopping: 3, ended: 4 };
const movesWork: ReadonlySet<Change["op"]> = new Set(["insertRun", "updateRun", "insertAttempt", "updateAttempt"]);

export interface JudgeEnds {
  readonly plan: Plan;
  readonly schedule: Schedule;
  /** Whether this journal has the attempt, on a host that never was put back. */
  readonly journalHas: (journal: string, attempt: string, which?: (entry: LedgerEntry) => boolean) => boolean;
  readonly clients: Clients;
  readonly witness: Witness;
  readonly counters: Counters;
  readonly trace: Trace;
}

/** Holds what became durable against what clients asked for and what the witness saw. */
export class Judge {
  readonly #ends: JudgeEnds;
  /** Run → its client, and its state as committed. */
  readonly #runs = new Map<
    string,
    { readonly client: string; state: RunState; placements: number; ended: boolean; lostOnce: boolean; succeeded: boolean }
  >();
  readonly #attempts = new Map<
    string,
    { readonly run: string; readonly worker: string; readonly epoch: string; state: AttemptState }
  >();
  /** Run → why its result may be lost: its worker had another journal when its attempt was said to have ended, was lost, or removed. */
  readonly #excuses = new Map<string, string[]>();
  /** Workers that were lost once, and those that were removed once. */
  readonly #lost = new Set<string>();
  readonly #removed = new Set<string>();
  readonly #workers = new Map<string, { state: string; epoch: string | null }>();
  readonly #losses: Losses;
  readonly #successors: Successors;
  #lastEvent = 0;
  /** When a run or an attempt last was made or changed. */
  movedMs = 0;

  constructor(ends: JudgeEnds) {
    this.#ends = ends;
    this.#losses = new Losses(ends);
    this.#successors = new Successors(ends);
  }

  workerRow(id: string): { readonly state: string; readonly epoch: string | null } | undefined {
    return this.#workers.get(id);
  }

  *workerStates(): Iterable<string> {
    for (const { state } of this.#workers.values()) yield state;
  }

  get runs(): ReadonlyMap<string, { readonly client: string; readonly state: RunState }> {
    return this.#runs;
  }

  /** Every durable change passes here, in order. */
  committed(asker: Asker, batch: Batch): void {
    const { trace } = this.#ends;
    trace.hash(`batch ${batch.term} ${batch.batch}`);
    this.#successors.batch(batch.changes);
    for (const change of batch.changes) {
      trace.hash(JSON.stringify(change));
      this.#change(asker, batch.term, change);
    }
  }

  #change(asker: Asker, term: number, change: Change): void {
    const { witness, schedule } = this.#ends;
    if (movesWork.has(change.op)) this.movedMs = schedule.nowMs;
    switch (change.op) {
      case "insertRun":
        return this.#insertRun(change.row);
      case "updateRun":
        return this.#updateRun(change.id, change.set);
      case "insertAttempt":
        return this.#insertAttempt(change.row);
      case "updateAttempt":
        return this.#updateAttempt(change.id, change.set);
      case "insertWorker":
        this.#workers.set(change.row.id, { state: change.row.state, epoch: change.row.epoch });
        return;
      case "updateWorker": {
        const row = this.#workers.get(change.id);
        if (!row) return witness.violated(`worker ${change.id} was changed before it was made`);
        this.#successors.joins(change.id, row, change.set.epoch);
        if (change.set.state !== undefined) row.state = change.set.state;
        if (change.set.epoch !== undefined) row.epoch = change.set.epoch;
        return;
      }
      case "insertEvent":
        return this.#event(asker, term, change.row);
      case "insertTask":
      case "updateTask":
      case "insertVersion":
      case "insertJournal":
      case "updateJournal":
      case "insertKey":
      case "deleteKeys":
      case "insertSetAside":
      case "insertHold":
      case "updateHold":
      case "deleteHold":
        return;
    }
  }

  #insertRun(row: RunRecord): void {
    const { clients, witness } = this.#ends;
    const client = row.params["who"] ?? "";
    this.#runs.set(row.id, { client, state: row.state, placements: 0, ended: false, lostOnce: false, succeeded: false });
    const wrong = clients.madeRun(client, row);
    if (wrong !== undefined) witness.violated(wrong);
  }

  #updateRun(id: string, set: Partial<RunRecord>): void {
    const { witness } = this.#ends;
    const run = this.#runs.get(id);
    if (!run) return witness.violated(`run ${id} was changed before it was made`);
    if (set.placements !== undefined) {
      if (set.placements < run.placements)
        witness.violated(`run ${id} had ${run.placements} placements and now ${set.placements}`);
      run.placements = set.placements;
    }
    if (isTerminal(run.state)) {
      witness.violated(`run ${id} was ${run.state} and was changed: ${JSON.stringify(set)}`);
      return;
    }
    if (set.state === undefined || set.state === run.state) return;
    const moves: readonly RunState[] = reachable[run.state];
    if (!moves.includes(set.state)) witness.violated(`run ${id} was ${run.state} and became ${set.state}`);
    run.state = set.state;
  }

  #insertAttempt(row: AttemptRecord): void {
    const { witness, clients } = this.#ends;
    this.#attempts.set(row.id, { run: row.runId, worker: row.workerId, epoch: row.epoch, state: row.state });
    const run = this.#runs.get(row.runId);
    if (!run) return witness.violated(`attempt ${row.id} belongs to no run`);
    if (clients.stopWasAnswered(row.runId))
      witness.violated(`run ${row.runId} was to be stopped, and ${row.id} was placed all the same`);
    if (run.succeeded) witness.violated(`run ${row.runId} had succeeded, and ${row.id} was placed all the same`);
    if (run.lostOnce) this.#ends.counters.happened("a run ran again after a loss");
  }

  #updateAttempt(id: string, set: Partial<AttemptRecord>): void {
    const { witness } = this.#ends;
    const attempt = this.#attempts.get(id);
    if (!attempt) return witness.violated(`attempt ${id} was changed before it was made`);
    if (attempt.state === "ended") return witness.violated(`attempt ${id} had ended and was changed: ${JSON.stringify(set)}`);
    if (set.state === undefined) return;
    if (attemptOrder[set.state] < attemptOrder[attempt.state])
      witness.violated(`attempt ${id} was ${attempt.state} and became ${set.state}`);
    attempt.state = set.state;
    if (set.state !== "ended" || !set.end) return;
    const now = this.#workers.get(attempt.worker)?.epoch;
    const isAnother = now && parseEpoch(now).journal !== parseEpoch(attempt.epoch).journal;
    if (isAnother) this.#excuses.set(attempt.run, [`worker ${attempt.worker} came back without it`]);
    this.#ended(id, attempt.run, set.end);
  }

  #neverCame(asker: Asker, attempt: string): void {
    const { counters, witness, journalHas } = this.#ends;
    counters.happened("an inventory proved that a start never came");
    const { epoch = "" } = this.#attempts.get(attempt) ?? {};
    if (journalHas(parseEpoch(epoch).journal, attempt, (entry) => entry.end?.how !== "refused" && entry.end?.how !== "stopped"))
      witness.violated(`${asker.name} says that the start of ${attempt} never came, and it is in the journal (rule 7)`);
  }

  #ended(id: string, runId: string, end: End): void {
    const { witness } = this.#ends;
    const run = this.#runs.get(runId);
    if (run && end.how === "exited" && end.code === 0) run.succeeded = true;
    if (end.how === "lost" && isGuess(end.why)) return;
    const process = witness.ofAttempt(id);
    if (process?.toMs === null)
      witness.violated(`attempt ${id} is said to have ended ${JSON.stringify(end)}, and it runs on ${process.worker} (rule 25)`);
  }

  #event(asker: Asker, term: number, row: EventRecord): void {
    const { witness, counters, trace } = this.#ends;
    if (row.number !== this.#lastEvent + 1)
      witness.violated(`event ${row.number} by ${asker.name} follows event ${this.#lastEvent}`);
    this.#lastEvent = row.number;
    this.#losses.committed({ name: asker.name, term, atMs: this.#ends.schedule.nowMs }, row);
    trace.tell(() => `${asker.name} stores ${eventText(row)}`);
    if (row.kind === "workerLost") {
      counters.happened("a worker was declared lost");
      this.#lost.add(row.workerId ?? "");
    }
    if (row.kind === "workerRemoved") this.#removed.add(row.workerId ?? "");
    if (row.kind === "lateEnd") counters.happened("a late end changed nothing");
    if (row.kind === "runEnded" && row.runId !== null) {
      const run = this.#runs.get(row.runId);
      if (run?.ended) witness.violated(`run ${row.runId} ended twice`);
      if (run) run.ended = true;
    }
    const text = JSON.stringify(row.data);
    if (row.kind === "attemptEnded" && text.includes('"its worker came back without it"') && row.attemptId !== null)
      if (this.#ends.journalHas(parseEpoch(this.#workers.get(row.workerId ?? "")?.epoch ?? "").journal, row.attemptId))
        witness.violated(`${asker.name} says that ${row.workerId} came back without ${row.attemptId}, which is in its journal`);
    if (text.includes('"its start never came"') && row.attemptId !== null) this.#neverCame(asker, row.attemptId);
    if (row.kind === "runRetrying" && text.includes('"how":"exited"')) counters.happened("a run was tried again after it failed");
    if (row.kind === "attemptEnded" && text.includes('"how":"timedOut"')) counters.happened("a timeout ended an attempt");
    if (row.kind === "runRetrying" && text.includes('"how":"lost"')) {
      const run = this.#runs.get(row.runId ?? "");
      if (run) run.lostOnce = true;
    }
    if (row.kind === "workerOnline" && text.includes('"was":"removed"')) counters.happened("a removed worker came back");
    if (row.kind === "attemptEnded" && text.includes('"agent restarted"'))
      counters.happened("an attempt died with its agent's life and was placed again");
    if (row.kind === "runEnded" && text.includes("nobody heard of worker")) counters.happened("a run was given up");
  }

  /** Runs that are not terminal, with what the store says of them. */
  stuck(): string[] {
    const lines: string[] = [];
    for (const [id, run] of this.#runs) {
      if (isTerminal(run.state)) continue;
      const attempts = [...this.#attempts]
        .filter(([, attempt]) => attempt.run === id)
        .map(([name, { state }]) => `${name} ${state}`);
      lines.push(`run ${id} of ${run.client} is ${run.state}, attempts ${attempts.join(", ") || "none"}: stuck (promise 7)`);
    }
    return lines;
  }

  /** When all is over: what was acknowledged is there, is terminal, and says the truth. */
  async judge(store: Store): Promise<void> {
    const { clients, witness } = this.#ends;
    for (const line of clients.broken((id) => this.#runs.has(id))) witness.violated(line);
    for (const id of this.#runs.keys()) {
      const found = await store.run(id);
      if (!found) {
        witness.violated(`run ${id} was committed and is gone`);
        continue;
      }
      const asked = clients.askedOf(found.run);
      for (const line of untruth({ ...found, excuses: this.#excusesOf(id, found.attempts) }, asked, witness))
        witness.violated(line);
    }
  }

  #excusesOf(runId: string, attempts: readonly AttemptRecord[]): string[] {
    const excuses = [...(this.#excuses.get(runId) ?? [])];
    for (const { workerId } of attempts) {
      if (this.#lost.has(workerId)) excuses.push(`nobody heard of worker ${workerId} any more`);
      if (this.#removed.has(workerId)) excuses.push(`worker ${workerId} was removed before it was sent`);
    }
    return excuses;
  }
}

/** What may come of a state in one commit, which may hold several moves. */
const reachable = Object.fromEntries(Object.keys(runMoves).map((from) => [from, closure(from as RunState)])) as Record<
  RunState,
  RunState[]
>;

function closure(from: RunState): RunState[] {
  const seen = new Set<RunState>();
  const open: RunState[] = [from];
  for (let next = open.pop(); next; next = open.pop()) {
    for (const to of runMoves[next]) {
      if (seen.has(to)) continue;
      seen.add(to);
      open.push(to);
    }
  }
  return [...seen];
}

/** Whether a reader may see the second after the first (I17). */
export function mayFollow(first: RunRecord, second: RunRecord): boolean {
  if (isTerminal(first.state)) return JSON.stringify(first) === JSON.stringify(second);
  return second.placements >= first.placements && (first.state === second.state || reachable[first.state].includes(second.state));
}
