/** Reports: numbered for the journal's life, written before they are sent, sent again until an ack covers them (rules 12, 13). */
import type { End } from "../../schema/end.ts";
import { boundedSentence } from "../../schema/end.ts";
import { workerLimits } from "../../schema/limits.ts";
import type { Report } from "../../schema/messages.ts";
import { reportBytes, reportRoomBytes } from "./queue.ts";
import type { LedgerEntry } from "./records.ts";
import type { AgentState } from "./state.ts";
import { note, type Turn } from "./turn.ts";

/** What a report says beyond its attempt; absent fields are absent on the wire. */
export type ReportFields = Omit<Report, "seq" | "attempt" | "start" | "kind">;

/** Makes a report, durable with this step and on the wire as soon as there is room; returns its seq. */
export function addReport(turn: Turn, entry: LedgerEntry, kind: Report["kind"], fields: ReportFields): number {
  const { state } = turn;
  const seq = state.nextSeq++;
  // Only an attempt that has not ended has its order; what is said again of one that has is no news, and in no trace.
  const trace = state.options.traces ? entry.order?.trace : undefined;
  const context = trace ? { trace } : {};
  const report = fitted({ seq, attempt: entry.attempt, start: entry.start, kind, ...fields, ...context });
  state.queue.items.push({ seq, report, bytes: reportBytes(report) });
  const { seq: _, ...body } = report;
  turn.reports.push({ seq, attempt: entry.attempt, body: JSON.stringify(body) });
  return seq;
}

/** Reports the state in which the ledger has the attempt: `accepted`, `running`, `stopping`, or its end. */
export function reportState(turn: Turn, entry: LedgerEntry): number {
  const at = turn.now.wall;
  switch (entry.state) {
    case "accepted":
    case "launching":
      return addReport(turn, entry, "accepted", { at });
    case "running":
      return addReport(turn, entry, "running", { at, ...processFields(entry) });
    case "stopping":
      return addReport(turn, entry, "stopping", { at, ...processFields(entry) });
    case "ended":
      return addReport(turn, entry, "end", { at: entry.changedWall, ...processFields(entry), end: entry.end as End });
  }
}

/**
 * Answers a repeated or asked command with a new report of the ledger's state. At most one such answer of an attempt is
 * unacknowledged at any time: it will be sent until it is acknowledged, a second one would say nothing more, and a manager
 * that asks for an hour must not fill the journal.
 */
export function answer(turn: Turn, entry: LedgerEntry): void {
  const { state } = turn;
  if (state.answers.has(entry.attempt)) return;
  if (reportsFull(state)) {
    note(turn, "tooManyReports", { attempt: entry.attempt, detail: "not answered: too many reports wait for an ack" });
    return;
  }
  state.answers.set(entry.attempt, reportState(turn, entry));
}

/** Whether so many reports wait for an ack that a command which would add one must come again later. */
export function reportsFull(state: AgentState): boolean {
  return state.queue.items.length - state.queue.first >= workerLimits.unackedReports;
}

/** The pid and the start of the process, where they are known. */
export function processFields(entry: LedgerEntry): Pick<ReportFields, "pid" | "startedAt"> {
  return {
    ...(entry.process === null ? {} : { pid: entry.process.pid }),
    ...(entry.startedWall === null ? {} : { startedAt: entry.startedWall }),
  };
}

/** A result may grow when its JSON is written anew (1e20 becomes 21 digits); one that no message can hold is left out, and said so. */
function fitted(report: Report): Report {
  if (report.result === undefined || reportBytes(report) <= reportRoomBytes) return report;
  const { result: _, ...rest } = report;
  return { ...rest, message: boundedSentence("The result was left out: written as JSON it is larger than a message may be.") };
}
