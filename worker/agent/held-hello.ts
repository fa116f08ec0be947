/** The hello of an agent whose journal has no room: it says what the journal holds, and not what waits to be written. */
import type { Hello, InventoryItem } from "../../schema/messages.ts";
import { itemOf } from "./hello.ts";
import type { JournalMeta, JournalWrite, LedgerEntry } from "./records.ts";

/** The journal as the disk has it. */
export interface DurableJournal {
  readonly meta: Pick<JournalMeta, "highestTerm" | "nextSeq">;
  entry(attempt: string): LedgerEntry | undefined;
}

/**
 * What of a hello a later agent would stand by, should this one die before `waiting` is written. An end that is not durable
 * is not told: its attempt is listed as the journal has it, and its report follows when there is room. An acceptance that is
 * not durable is none yet, as if its start were still on the wire: by the time that its absence proves anything the start is
 * stale, and it is not launched then (rules 6, 7). The epoch is durable since the agent began (rule 1), its numbers of
 * reports and its term are those on the disk (rules 12, 15).
 */
export function heldHello(message: Hello, waiting: readonly JournalWrite[], durable: DurableJournal): Hello {
  const attempts = new Set(waiting.flatMap((write) => (write.write === "entry" ? [write.entry.attempt] : [])));
  const newestSeq = Math.min(message.newestSeq, durable.meta.nextSeq - 1);
  const items = message.inventory.items.flatMap((item): InventoryItem[] => {
    if (!attempts.has(item.attempt)) return [item];
    const entry = durable.entry(item.attempt);
    return entry ? [itemOf(entry)] : [];
  });
  return {
    ...message,
    highestTerm: Math.min(message.highestTerm, durable.meta.highestTerm),
    newestSeq,
    firstUnackedSeq: Math.min(message.firstUnackedSeq, newestSeq + 1),
    inventory: { ...message.inventory, items },
  };
}
