/** Acknowledgements: what the manager has applied and committed (rule 12). */
import { dropAcked } from "./queue.ts";
import { note, type Turn } from "./turn.ts";

/**
 * Takes a cumulative ack. One for another journal is ignored, and so is one beyond what this journal ever wrote: this
 * journal is then a restored copy, and the manager says so when it sees the hello (rule 1).
 */
export function onAck(turn: Turn, ack: { readonly journal: string; readonly seq: number }): void {
  const { state } = turn;
  if (ack.journal !== state.journal) {
    note(turn, "ackOfOtherJournal", { detail: `ack of journal ${ack.journal}, this one is ${state.journal}` });
    return;
  }
  if (ack.seq >= state.nextSeq) {
    note(turn, "ackAhead", { detail: `ack of ${ack.seq}, the newest report is ${state.nextSeq - 1}` });
    return;
  }
  if (ack.seq <= state.highestAck) return;
  state.highestAck = ack.seq;
  turn.acked = true;
  for (const { seq, report } of dropAcked(turn, ack.seq)) {
    if (state.answers.get(report.attempt) === seq) state.answers.delete(report.attempt);
    const ended = state.ended.get(report.attempt);
    if (!ended || ended.entry.endSeq !== seq) continue;
    ended.ackedMono = turn.now.mono;
    turn.actions.push({ action: "settled", attempt: report.attempt });
  }
}
