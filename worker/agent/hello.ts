/** The hello with its inventory, and the sync that answers it (rules 13, 14). */
import type { AttemptState } from "../../schema/run.ts";
import { protocolVersion, type Hello, type InventoryItem, type SyncItem } from "../../schema/messages.ts";
import { timing, wireLimits, workerLimits } from "../../schema/limits.ts";
import { onAck } from "./acks.ts";
import { doubledMs } from "./doubling.ts";
import { firstUnackedSeq } from "./queue.ts";
import type { LedgerEntry, LedgerState } from "./records.ts";
import { takeSettings } from "./settings.ts";
import type { AgentState } from "./state.ts";
import { stopAttempt } from "./stops.ts";
import { note, type Turn } from "./turn.ts";

/** Items of one hello part; more travel as a further part. */
const itemsPerPart = 2_000;

/** `stopped{by}` of an attempt that a sync did not want to go on. */
const stoppedBySync = "manager";

/** With a tick: whether the hello is due. */
export function helloDue(turn: Turn): void {
  const { link } = turn.state;
  if (link.connected && link.helloMono !== null && link.helloMono <= turn.now.mono) turn.hello = true;
}

/** A leader lacks our hello, or asked about an attempt that this ledger does not have: only an inventory proves that (rule 7). */
export function askedHello(turn: Turn): void {
  const { link } = turn.state;
  const earliest = link.lastHelloMono + timing.helloSpacingMs;
  if (earliest <= turn.now.mono) turn.hello = true;
  else link.helloMono = Math.min(link.helloMono ?? earliest, earliest);
}

/**
 * Publishes the hello in as many parts as it takes, all with this instant's mono. It comes last in a step, so that an
 * acceptance is in the inventory from the moment it is decided (rule 7).
 */
export function publishHello(turn: Turn): void {
  const { state, now } = turn;
  const { link } = state;
  if (!link.connected) return;
  link.lastHelloMono = now.mono;
  // Until its sync comes it is said again: 2 s, doubling to 30 s.
  link.helloMono = link.synced
    ? null
    : now.mono + doubledMs(link.hellos, { firstMs: timing.resendFirstMs, maxMs: timing.resendMaxMs });
  link.hellos += 1;
  const page = ledgerPage(state);
  link.ledgerAbove = null;
  const head = { ...helloHead(turn), ...(page ? { ledger: page.range } : {}) };
  const roomBytes =
    wireLimits.payloadBytes - Buffer.byteLength(JSON.stringify({ ...head, inventory: { part: 10_000, of: 10_000, items: [] } }));
  const parts = partsOf([...inventoryOf(state), ...(page?.items ?? [])], roomBytes);
  parts.forEach((items, at) => {
    turn.actions.push({
      action: "publish",
      what: "hello",
      message: { ...head, inventory: { part: at + 1, of: parts.length, items } },
    });
  });
}

/** The manager's answer to the hello of one connection. */
export function onSync(turn: Turn, item: SyncItem): void {
  const { state } = turn;
  const { link } = state;
  if (item.epoch !== state.options.epoch || item.connection !== link.connection || !link.connected) {
    note(turn, "syncOfOtherConnection", { detail: `sync of ${item.epoch}, connection ${item.connection}` });
    return;
  }
  if (item.refused !== undefined) {
    onRefused(turn, item);
    return;
  }
  link.refused = null;
  noteHeard(turn);
  if (item.settings) takeSettings(turn, item.settings);
  if (item.draining !== undefined) state.draining = item.draining;
  if (item.ack) onAck(turn, item.ack);
  for (const id of item.stop ?? []) {
    // It was in the inventory, so one that is not live any more has ended since, and its end is on its way.
    const attempt = state.live.get(id);
    if (attempt)
      stopAttempt(turn, attempt, {
        by: stoppedBySync,
        graceSeconds: attempt.entry.order?.killGraceSeconds ?? timing.killGraceSeconds,
      });
  }
  link.helloMono = null;
  link.hellos = 0;
  link.synced = true;
}

/** From here on reports may be applied. Durable before the first of them is published: the step's writes come first. */
function noteHeard(turn: Turn): void {
  const { state } = turn;
  if (!state.heard && state.notedUnheard) turn.unheard = { seq: null };
  state.heard = true;
  state.notedUnheard = false;
}

function onRefused(turn: Turn, item: SyncItem): void {
  const { state } = turn;
  const why = item.refused ?? "";
  state.link.refused = why;
  state.link.synced = false;
  state.link.helloMono = null;
  turn.actions.push({
    action: "disconnect",
    why,
    retryAfterMs: state.settings.workerLostMs,
    newJournal: item.newJournal === true,
  });
}

function helloHead(turn: Turn): Omit<Hello, "inventory"> {
  const { state, now } = turn;
  const { options, link } = state;
  return {
    v: protocolVersion,
    epoch: options.epoch,
    connection: link.connection,
    mono: now.mono,
    facts: options.facts,
    labels: options.labels,
    capacity: options.capacity,
    highestTerm: state.highestTerm,
    highestAck: state.highestAck,
    firstUnackedSeq: firstUnackedSeq(state),
    newestSeq: state.nextSeq - 1,
    seqAtStart: state.seqAtStart,
    versions: [protocolVersion],
    survives: options.survives,
    http: options.http,
    draining: state.draining || state.leaving,
  };
}

/** Every attempt that has not ended, and every end that no ack covers. */
function inventoryOf(state: AgentState): InventoryItem[] {
  const items: InventoryItem[] = [];
  for (const { entry } of state.live.values()) items.push(itemOf(entry));
  for (const { seq, report } of state.queue.items.slice(state.queue.first)) {
    const entry = report.kind === "end" ? state.ended.get(report.attempt)?.entry : undefined;
    if (entry?.endSeq === seq) items.push(itemOf(entry));
  }
  return items;
}

interface LedgerPage {
  readonly range: NonNullable<Hello["ledger"]>;
  readonly items: readonly InventoryItem[];
}

/** The oldest acknowledged ends above the seq that was asked for (rule 28), as many as one hello may list. */
function ledgerPage(state: AgentState): LedgerPage | undefined {
  const above = state.link.ledgerAbove;
  if (above === null) return undefined;
  const acked = firstUnackedSeq(state) - 1;
  const items: InventoryItem[] = [];
  let upTo = acked;
  for (const { entry } of state.ended.values()) {
    if (entry.endSeq <= above || entry.endSeq > acked) continue;
    if (items.length === workerLimits.ledgerPerHello) break;
    items.push({ ...itemOf(entry), acked: ackedOf(entry) });
    upTo = items.length === workerLimits.ledgerPerHello ? entry.endSeq : acked;
  }
  return { range: { above, upTo: Math.max(above, upTo), forgotten: state.forgottenSeq }, items };
}

function ackedOf({ endSeq, startedWall, changedWall }: LedgerEntry): NonNullable<InventoryItem["acked"]> {
  return { seq: endSeq, ...(startedWall === null ? {} : { startedAt: startedWall }), endedAt: changedWall };
}

/** An attempt as an inventory lists it. */
export function itemOf(entry: LedgerEntry): InventoryItem {
  const { attempt, run, start, end } = entry;
  return { attempt, run, start, state: wireState[entry.state], ...(end === null ? {} : { end }) };
}

/** A launch that the shim has not confirmed may be running or not: to the manager it is accepted. */
const wireState: Readonly<Record<LedgerState, AttemptState>> = {
  accepted: "accepted",
  launching: "accepted",
  running: "running",
  stopping: "stopping",
  ended: "ended",
};

function partsOf(items: readonly InventoryItem[], roomBytes: number): InventoryItem[][] {
  const parts: InventoryItem[][] = [[]];
  let bytes = 0;
  for (const item of items) {
    const itemBytes = Buffer.byteLength(JSON.stringify(item)) + 1;
    const part = parts.at(-1) as InventoryItem[];
    if (part.length > 0 && (part.length === itemsPerPart || bytes + itemBytes > roomBytes)) {
      parts.push([item]);
      bytes = itemBytes;
    } else {
      part.push(item);
      bytes += itemBytes;
    }
  }
  return parts;
}
