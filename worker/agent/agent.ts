/**
 * The worker's core, whole: what it is given and what it decides. Pure: no clock, no chance, no I/O, no promises.
 *
 *   const state = createAgent(options, journal, now);
 *   step(state, { kind: "recovered", found }, now), and then one step for each input:
 *     make its `journal` writes durable, then do its `actions`, in order.
 */
import type { Now } from "../../schema/given.ts";
import { parseEpoch } from "../../schema/ids.ts";
import { onTick } from "./beat.ts";
import { onCommands } from "./commands.ts";
import { firstDue } from "./deadlines.ts";
import { onEnded } from "./ends.ts";
import { noticeGap } from "./freshness.ts";
import { publishHello } from "./hello.ts";
import { launchHeld, onNotStarted, onStarted } from "./launch.ts";
import { liveAttempt } from "./ledger.ts";
import { onConnected, onDisconnected, onLeave, sayOff } from "./link.ts";
import { onProgress } from "./progress.ts";
import { newQueue, publishReports, reportBytes } from "./queue.ts";
import type { JournalMeta, LedgerEntry, StoredReport } from "./records.ts";
import { onRecovered } from "./recover.ts";
import { onBodyFailed, onBodyFetched } from "./starts.ts";
import { takeRoom } from "./slots.ts";
import type { AgentState, QueuedReport } from "./state.ts";
import { finishTurn, newTurn, type Turn } from "./turn.ts";
import type { AgentInput, AgentOptions, AgentStep } from "./types.ts";
import type { Report } from "../../schema/messages.ts";

export type { AgentState } from "./state.ts";
export { willOf } from "./link.ts";
export { viewOf } from "./view.ts";

/** What an earlier agent left in the journal. */
export interface JournalContent {
  readonly meta: JournalMeta;
  readonly entries: readonly LedgerEntry[];
  readonly reports: readonly StoredReport[];
}

/** The core at the start of an epoch. `now.mono` is the host's boot-time clock, here and in every step. */
export function createAgent(options: AgentOptions, journal: JournalContent, now: Now): AgentState {
  const { meta } = journal;
  const state: AgentState = {
    options,
    journal: parseEpoch(options.epoch).journal,
    highestTerm: meta.highestTerm,
    highestAck: meta.highestAck,
    nextSeq: meta.nextSeq,
    seqAtStart: meta.unheardSeq ?? meta.nextSeq - 1,
    heard: false,
    notedUnheard: (meta.unheardSeq ?? null) !== null,
    forgottenSeq: meta.forgottenSeq ?? 0,
    live: new Map(),
    ended: new Map(),
    held: new Set(),
    fenced: new Set(),
    used: { slots: 0, memoryMb: 0, cpus: 0 },
    queue: newQueue(journal.reports.map(queuedReport)),
    answers: new Map(),
    due: { items: [] },
    link: {
      connected: false,
      connection: 0,
      synced: false,
      helloMono: null,
      hellos: 0,
      lastHelloMono: Number.NEGATIVE_INFINITY,
      ledgerAbove: null,
      heartbeatMono: 0,
      refused: null,
    },
    settings: { version: 0, ...options.settings },
    longestTtlMs: options.settings.startTtlMs,
    asOfMono: null,
    gapMono: now.mono,
    lastStepMono: now.mono,
    draining: false,
    leaving: false,
    stopsRuns: false,
    saidOff: false,
    room: true,
    load: { cpu: 0, memoryMb: 0 },
    spoolBytes: 0,
    progressWaiting: new Set(),
    progressMono: Number.NEGATIVE_INFINITY,
    lastEnds: [],
  };
  for (const entry of journal.entries.toSorted((a, b) => a.endSeq - b.endSeq)) takeEntry(state, entry, now);
  return state;
}

/** Decides one input. Changes the state in place; what it returns must be written first and then done, in order. */
export function step(state: AgentState, input: AgentInput, now: Now): AgentStep {
  const turn = newTurn(state, now);
  noticeGap(turn);
  onInput(turn, input);
  launchHeld(turn);
  if (turn.hello) publishHello(turn);
  publishReports(turn);
  sayOff(turn);
  return finishTurn(turn);
}

/** Mono ms at which a tick is needed, at the latest. Null never: also an idle agent must know that it was not away (rule 6). */
export function nextDue(state: AgentState): number | null {
  const { link, queue, settings } = state;
  const due = [state.lastStepMono + settings.startTtlMs / 4];
  const first = firstDue(state);
  if (first !== null) due.push(first);
  if (link.connected) {
    if (!state.saidOff) due.push(link.heartbeatMono);
    if (link.helloMono !== null) due.push(link.helloMono);
  }
  if (link.synced) {
    if (queue.resendMono !== null) due.push(queue.resendMono);
    if (queue.gatherMono !== null) due.push(queue.gatherMono);
    if (state.progressWaiting.size > 0) due.push(state.progressMono);
  }
  return Math.min(...due);
}

function onInput(turn: Turn, input: AgentInput): void {
  switch (input.kind) {
    case "connected":
      onConnected(turn, input.connection);
      return;
    case "disconnected":
      onDisconnected(turn);
      return;
    case "commands":
      onCommands(turn, input.message);
      return;
    case "recovered":
      onRecovered(turn, input.found);
      return;
    case "bodyFetched":
      onBodyFetched(turn, input);
      return;
    case "bodyFailed":
      onBodyFailed(turn, input);
      return;
    case "started":
      onStarted(turn, input);
      return;
    case "notStarted":
      onNotStarted(turn, input);
      return;
    case "ended":
      onEnded(turn, input);
      return;
    case "progress":
      onProgress(turn, input);
      return;
    case "room":
      turn.state.room = input.room;
      return;
    case "tick":
      onTick(turn, input);
      return;
    case "leave":
      onLeave(turn, input.stopRuns);
      return;
  }
}

/** Entries of an earlier epoch keep their room until `recovered` says what became of them. */
function takeEntry(state: AgentState, entry: LedgerEntry, now: Now): void {
  if (entry.state === "ended") {
    state.ended.set(entry.attempt, { entry, ackedMono: entry.endSeq <= state.highestAck ? now.mono : null });
    return;
  }
  const attempt = liveAttempt(entry);
  state.live.set(entry.attempt, attempt);
  if (entry.state !== "accepted") takeRoom(state, attempt);
}

function queuedReport(stored: StoredReport): QueuedReport {
  const report = { seq: stored.seq, ...(JSON.parse(stored.body) as Omit<Report, "seq">) };
  return { seq: stored.seq, report, bytes: reportBytes(report) };
}
