/** The reports that no ack covers yet: what of them is on the wire, and when they go again. */
import { timing, wireLimits } from "../../schema/limits.ts";
import type { Report } from "../../schema/messages.ts";
import { doubledMs } from "./doubling.ts";
import type { AgentState, QueuedReport, ReportQueue } from "./state.ts";
import { note, type Turn } from "./turn.ts";

/** What the envelope of a reports message may take beside its items; its strings are bounded, so this is generous. */
const envelopeBytes = 512;

/** Bytes of items that one reports message holds. */
export const reportRoomBytes = wireLimits.payloadBytes - envelopeBytes;

/** Acknowledged items stay in the array until they are this many: shifting it at every ack would cost its whole length. */
const spentKept = 1_024;

/** What a report takes of a message, its comma included. */
export function reportBytes(report: Report): number {
  return Buffer.byteLength(JSON.stringify(report)) + 1;
}

/** A queue that holds what an earlier agent left unacknowledged. */
export function newQueue(items: QueuedReport[]): ReportQueue {
  return { items, first: 0, onWire: 0, onWireBytes: 0, resends: 0, resendMono: null, gatherMono: null };
}

/** How many reports wait for an ack. */
export function unackedCount(queue: ReportQueue): number {
  return queue.items.length - queue.first;
}

/** seq of the oldest report that no ack covers; the next seq when there is none. */
export function firstUnackedSeq(state: AgentState): number {
  return state.queue.items[state.queue.first]?.seq ?? state.nextSeq;
}

/** Takes nothing as sent: everything unacknowledged goes again, from the first. */
export function forgetWire(queue: ReportQueue): void {
  queue.onWire = 0;
  queue.onWireBytes = 0;
  queue.resends = 0;
  queue.resendMono = null;
}

/** Drops what an ack up to `seq` covers and returns it; the resends begin anew. */
export function dropAcked(turn: Turn, seq: number): readonly QueuedReport[] {
  const { queue } = turn.state;
  const from = queue.first;
  for (let item = queue.items[queue.first]; item && item.seq <= seq; item = queue.items[queue.first]) {
    queue.first += 1;
    if (queue.onWire === 0) continue;
    queue.onWire -= 1;
    queue.onWireBytes -= item.bytes;
  }
  const dropped = queue.items.slice(from, queue.first);
  if (queue.first >= spentKept && queue.first * 2 >= queue.items.length) {
    queue.items = queue.items.slice(queue.first);
    queue.first = 0;
  }
  queue.resends = 0;
  queue.resendMono = queue.onWire === 0 ? null : turn.now.mono + timing.resendFirstMs;
  return dropped;
}

/** Without progress for the time given: what is on the wire counts as lost, and goes again from the first. */
export function resendDue(turn: Turn): void {
  const { queue } = turn.state;
  if (queue.resendMono === null || queue.resendMono > turn.now.mono) return;
  queue.onWire = 0;
  queue.onWireBytes = 0;
  queue.resends += 1;
  queue.resendMono = null;
  note(turn, "reportsResent", { detail: `no ack for ${unackedCount(queue)} reports, resend ${queue.resends}` });
}

/** Publishes as much as may be on the wire unacknowledged (rule 16), in messages that fit. */
export function publishReports(turn: Turn): void {
  const { queue, link } = turn.state;
  if (!link.connected || !link.synced || gathers(turn)) return;
  let batch: Report[] = [];
  let batchBytes = 0;
  for (;;) {
    const item = queue.items[queue.first + queue.onWire];
    if (!item || (queue.onWire > 0 && queue.onWireBytes + item.bytes > wireLimits.unackedReportBytes)) break;
    if (batch.length === wireLimits.itemsPerMessage || (batch.length > 0 && batchBytes + item.bytes > reportRoomBytes)) {
      publish(turn, batch);
      batch = [];
      batchBytes = 0;
    }
    batch.push(item.report);
    batchBytes += item.bytes;
    queue.onWire += 1;
    queue.onWireBytes += item.bytes;
  }
  if (batch.length > 0) publish(turn, batch);
  if (queue.onWire > 0) {
    queue.resendMono ??= turn.now.mono + doubledMs(queue.resends, { firstMs: timing.resendFirstMs, maxMs: timing.resendMaxMs });
  }
}

/**
 * Whether what is not on the wire yet waits a moment for more. A short run is accepted, runs and ends within milliseconds:
 * one message for the three is a third of the manager's commits. An end, and whatever else somebody waits for, goes at once
 * and takes along what gathered.
 */
function gathers({ state: { queue, options }, now }: Turn): boolean {
  const unsent = queue.first + queue.onWire;
  if (unsent >= queue.items.length) return false;
  let urgent = queue.resends > 0;
  for (let i = unsent; !urgent && i < queue.items.length; i += 1) urgent = !canWait.has(queue.items[i]?.report.kind ?? "end");
  if (!urgent) queue.gatherMono ??= now.mono + options.gatherMs;
  if (!urgent && queue.gatherMono !== null && now.mono < queue.gatherMono) return true;
  queue.gatherMono = null;
  return false;
}

const canWait: ReadonlySet<Report["kind"]> = new Set(["accepted", "running"]);

function publish(turn: Turn, items: readonly Report[]): void {
  const { options, link, journal } = turn.state;
  turn.actions.push({
    action: "publish",
    what: "reports",
    message: { v: 1, epoch: options.epoch, connection: link.connection, mono: turn.now.mono, journal, items },
  });
}
