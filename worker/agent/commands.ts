/** What the manager says: whether it is meant for this epoch and comes from the newest leader, and then item by item. */
import type { Commands, DownItem } from "../../schema/messages.ts";
import { onAck } from "./acks.ts";
import { heard } from "./freshness.ts";
import { askedHello, onSync } from "./hello.ts";
import { entryOf } from "./ledger.ts";
import { answer } from "./reports.ts";
import { takeSettings } from "./settings.ts";
import { onStart } from "./starts.ts";
import { onSignal, onStop } from "./stops.ts";
import { note, type Turn } from "./turn.ts";

/** One message of `…/down/commands`. */
export function onCommands(turn: Turn, message: Commands): void {
  const { state } = turn;
  if (message.term < state.highestTerm) {
    note(turn, "lowerTerm", { detail: `term ${message.term}, but ${state.highestTerm} was obeyed already` });
    // Telling obeys nothing, and only the hello says which term was obeyed: a leader on a database that was taken back learns
    // from it that it must lead with a higher one (rule 28), while the worker's connection has never broken.
    if (message.items.some((item) => item.kind === "ask" && item.hello === true)) askedHello(turn);
    return;
  }
  if (message.asOf.epoch !== state.options.epoch) {
    onForeign(turn, message);
    return;
  }
  raiseTerm(turn, message.term);
  heard(turn, message.asOf.mono);
  for (const item of message.items) onItem(turn, item, message.asOf.mono);
}

/** Only the refusal of our own hello may come under another epoch: the leader has no echo for an epoch that it refuses. */
function onForeign(turn: Turn, message: Commands): void {
  const { options, link } = turn.state;
  for (const item of message.items) {
    if (item.kind !== "sync" || item.refused === undefined) continue;
    if (item.epoch !== options.epoch || item.connection !== link.connection) continue;
    raiseTerm(turn, message.term);
    onSync(turn, item);
    return;
  }
  note(turn, "otherEpoch", { detail: `commands for epoch ${message.asOf.epoch}` });
}

function onItem(turn: Turn, item: DownItem, asOfMono: number): void {
  switch (item.kind) {
    case "start":
      onStart(turn, item, asOfMono);
      return;
    case "stop":
      onStop(turn, item);
      return;
    case "signal":
      onSignal(turn, item);
      return;
    case "ask":
      onAsk(turn, item);
      return;
    case "ack":
      onAck(turn, item);
      return;
    case "logsAck":
      turn.actions.push({ action: "logsAck", attempt: item.attempt, stream: item.stream, offset: item.offset });
      return;
    case "settings":
      takeSettings(turn, item);
      return;
    case "drain":
      turn.state.draining = item.on;
      return;
    case "sync":
      onSync(turn, item);
      return;
  }
}

/** What the ledger has is reported anew. What it does not have is no news that one could report: only an inventory says it. */
function onAsk(turn: Turn, item: Extract<DownItem, { kind: "ask" }>): void {
  for (const id of item.attempts ?? []) {
    const entry = entryOf(turn.state, id);
    if (entry) answer(turn, entry);
    else askedHello(turn);
  }
  // Of another journal than this one there is nothing to tell; the hello says which one it is.
  if (item.ledger?.journal === turn.state.journal) turn.state.link.ledgerAbove = item.ledger.above;
  if (item.hello || item.ledger) askedHello(turn);
}

/** Durable with this step, before anything that this leader asked for is done (rule 15). */
function raiseTerm(turn: Turn, term: number): void {
  if (term <= turn.state.highestTerm) return;
  turn.state.highestTerm = term;
  turn.termRaised = true;
  turn.actions.push({ action: "logsAgain" });
}
