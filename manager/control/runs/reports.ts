/** Reports: applied once, in order of seq, with their effects in one commit, and acknowledged after it (rule 12). */
import { boundedSentence, type End } from "../../../schema/end.ts";
import { parseEpoch } from "../../../schema/ids.ts";
import { wireLimits } from "../../../schema/limits.ts";
import type { Report, Reports } from "../../../schema/messages.ts";
import { askHello, askStranger } from "../fleet/ask.ts";
import type { AttemptUpdate, RunUpdate } from "../changes.ts";
import { aboutAttempt, endAttempt } from "./ends.ts";
import { noteFound } from "../recovery/found.ts";
import { advance, markKnown } from "./progress.ts";
import { becomeReachable, hear } from "../fleet/reach.ts";
import type { AttemptRecord } from "../records.ts";
import { updateRun } from "./runs.ts";
import { journalKey, recentAttempt, type AttemptCell, type WorkerCell } from "../state.ts";
import { emit, note, send, type Turn } from "../turn.ts";
import { seeClock } from "../fleet/worker-clock.ts";

type Item =
  | { readonly seq: number; readonly report: Report }
  | { readonly seq: number; readonly unreadable: Reports["unreadable"][number] };

export function takeReports(turn: Turn, workerId: string, message: Reports): void {
  const { state } = turn;
  const worker = state.workers.get(workerId);
  if (
    !worker ||
    worker.row.epoch !== message.epoch ||
    worker.row.state === "removed" ||
    parseEpoch(message.epoch).journal !== message.journal
  ) {
    // They come again after the hello that we lack.
    note(turn, "unknownEpoch", { workerId, detail: "reports of an epoch that has not said hello" });
    if (!worker || worker.row.epoch !== message.epoch) askStranger(turn, workerId, message.epoch);
    return;
  }
  const fresh = hear(turn, worker, message.mono);
  if (!worker.synced || message.connection > worker.row.connection) askHello(turn, worker);
  const current = message.connection === worker.row.connection && message.connection > worker.goneConnection;
  if (fresh && current && worker.row.state === "unreachable") becomeReachable(turn, worker);
  applyInOrder(turn, worker, message);
}

function applyInOrder(turn: Turn, worker: WorkerCell, message: Reports): void {
  const { state } = turn;
  const key = journalKey(worker.row.id, message.journal);
  const before = state.journals.get(key);
  let applied = before ?? 0;
  for (const item of inOrder(message)) {
    if (item.seq <= applied) {
      note(turn, "repeatedReport", { workerId: worker.row.id });
      continue;
    }
    if (item.seq > applied + 1) {
      // What is missing comes again, and this after it.
      note(turn, "reportGap", { workerId: worker.row.id, detail: `seq ${item.seq} came, ${applied + 1} is next` });
      break;
    }
    if ("report" in item) applyReport(turn, worker, message, item.report);
    else setAside(turn, worker, message, item.unreadable);
    applied = item.seq;
  }
  if (applied !== (before ?? 0)) {
    state.journals.set(key, applied);
    const { journal } = message;
    if (before === undefined) turn.changes.push({ op: "insertJournal", row: { workerId: worker.row.id, journal, applied } });
    else turn.changes.push({ op: "updateJournal", workerId: worker.row.id, journal, applied });
  }
  send(turn, worker, { kind: "ack", journal: message.journal, seq: applied });
}

function inOrder(message: Reports): Item[] {
  const items: Item[] = message.items.map((report) => ({ seq: report.seq, report }));
  if (message.unreadable.length === 0 && items.every((item, index) => index === 0 || (items[index - 1] as Item).seq < item.seq))
    return items;
  for (const unreadable of message.unreadable) items.push({ seq: unreadable.seq, unreadable });
  return items.toSorted((a, b) => a.seq - b.seq);
}

function applyReport(turn: Turn, worker: WorkerCell, message: Reports, report: Report): void {
  const attempt = turn.state.attempts.get(report.attempt);
  if (!attempt) {
    applyLate(turn, worker, report);
    return;
  }
  if (attempt.worker !== worker) {
    note(turn, "strangeReport", {
      workerId: worker.row.id,
      attemptId: report.attempt,
      detail: `the attempt is bound to worker ${attempt.row.workerId}`,
    });
    return;
  }
  markKnown(turn, attempt, message.epoch, message.mono);
  // The time of an end is its files', whose clock is the kernel's: the agent's own may be another.
  if (report.kind !== "end") seeClock(turn, attempt, instant(report.at));
  switch (report.kind) {
    case "accepted":
      advance(turn, attempt, "accepted");
      return;
    case "running":
      advance(turn, attempt, "running", { startedAt: instant(report.startedAt ?? report.at), pid: report.pid ?? null });
      return;
    case "stopping":
      advance(turn, attempt, "stopping", startedWith(attempt, report));
      return;
    case "progress":
      takeProgress(turn, attempt, report);
      return;
    case "end":
      takeEnd(turn, attempt, report);
      return;
  }
}

/** A wall clock of another host may say anything; the store holds whole milliseconds. */
export function instant(wall: number): number {
  return Number.isFinite(wall) ? Math.min(8_640_000_000_000_000, Math.max(0, Math.round(wall))) : 0;
}

function startedWith(attempt: AttemptCell, report: Report): AttemptUpdate {
  return report.startedAt !== undefined && attempt.row.startedAt === null
    ? { startedAt: instant(report.startedAt), pid: report.pid ?? attempt.row.pid }
    : {};
}

function takeProgress(turn: Turn, attempt: AttemptCell, report: Pick<Report, "percent" | "message">): void {
  if (attempt.orphan) return;
  const progress = { percent: report.percent ?? null, message: report.message ?? null };
  updateRun(turn, attempt.run, { progress });
  emit(turn, "runProgress", { ...aboutAttempt(attempt), data: progress });
}

function takeEnd(turn: Turn, attempt: AttemptCell, report: Report): void {
  const end: End = report.end ?? { how: "lost", why: "unreadable end: the report of the end had none" };
  const started = startedWith(attempt, report);
  const endedAt = instant(report.at);
  const run: RunUpdate = {
    endedAt,
    ...(attempt.run.row.startedAt === null && started.startedAt !== undefined ? { startedAt: started.startedAt } : {}),
    ...(report.result === undefined ? {} : { result: JSON.stringify(report.result) }),
    ...(report.body === undefined ? {} : { resultBody: report.body }),
  };
  // What its worker says beside the end, such as why a result was left out: the run's last word.
  if (report.message !== undefined) {
    const percent = attempt.run.row.progress?.percent;
    takeProgress(turn, attempt, { ...(typeof percent === "number" ? { percent } : {}), message: report.message });
  }
  endAttempt(turn, attempt, end, { attempt: { endedAt, ...started }, run, reported: true });
}

/** About an attempt that has ended here, or that nobody here knows: it changes nothing (rules 14, 22). */
function applyLate(turn: Turn, worker: WorkerCell, report: Report): void {
  const known = endedAttempt(turn, report.attempt);
  if (!known) {
    noteFound(turn, worker, report.attempt, null, report.kind);
    // It may be one of the time that the database has lost; only an inventory names its run.
    if (turn.state.hold) askHello(turn, worker);
    return;
  }
  const same = report.end === undefined || JSON.stringify(known.end) === JSON.stringify(report.end);
  if (report.kind !== "end" || same) {
    note(turn, "lateReport", { workerId: worker.row.id, attemptId: known.id, detail: report.kind });
    return;
  }
  emit(turn, "lateEnd", {
    taskId: known.taskId,
    runId: known.runId,
    attemptId: known.id,
    workerId: worker.row.id,
    data: { end: report.end, known: known.end },
  });
}

function endedAttempt(turn: Turn, id: string): AttemptRecord | undefined {
  return recentAttempt(turn.state, id) ?? turn.state.loaded.attempts.get(id) ?? undefined;
}

/** An item that cannot be read but has its seq: kept for an operator, so that what follows it can be applied (rule 19). */
function setAside(turn: Turn, worker: WorkerCell, message: Reports, item: Reports["unreadable"][number]): void {
  const { state, now } = turn;
  const why = boundedSentence(item.why);
  turn.changes.push({
    op: "insertSetAside",
    row: {
      id: turn.dice.id(),
      pool: state.options.pool,
      at: now.wall,
      source: `report of worker ${worker.row.id}`,
      why,
      raw: item.raw.slice(0, wireLimits.payloadBytes / 4),
    },
  });
  const attempt = item.attempt === undefined ? undefined : state.attempts.get(item.attempt);
  const ours = attempt?.worker === worker ? attempt : undefined;
  note(turn, "setAside", { workerId: worker.row.id, detail: `seq ${item.seq}: ${why}` });
  emit(turn, "setAside", { workerId: worker.row.id, ...(ours ? aboutAttempt(ours) : {}), data: { seq: item.seq, why } });
  if (!ours) return;
  markKnown(turn, ours, message.epoch, message.mono);
  if (item.kind === "end")
    endAttempt(turn, ours, { how: "lost", why: boundedSentence(`unreadable end: ${why}`) }, { reported: true });
}
