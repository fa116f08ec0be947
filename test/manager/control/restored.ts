/** A bench whose database can be taken back, and what a worker says of the time that is lost. */
import type { Hello, InventoryItem } from "../../../schema/messages.ts";
import type { End } from "../../../schema/end.ts";
import type { Change } from "../../../manager/control/changes.ts";
import { memoryTables } from "../../../manager/store/memory-tables.ts";
import { alarms } from "../../../manager/control/view.ts";
import { joined, type Hand } from "./hand.ts";
import { asker, itemsOf, makeTask, openBench, optionsWith, pool, start, type Bench, type Said } from "./kit.ts";

export interface Restorable {
  readonly bench: Bench;
  /** The database as it is now, to be put back later. */
  backUp(): () => Promise<void>;
  /** What `muster restored` does, with no leader. */
  mark(): Promise<void>;
}

/** The database and a bench on it. */
export async function openRestorable(options = optionsWith()): Promise<Restorable> {
  const held = { tables: memoryTables(), leases: new Map() };
  const bench = await openBench(options, held);
  const put = (into: object, from: object): void => {
    if (into instanceof Map && from instanceof Map) {
      into.clear();
      for (const [key, row] of from) into.set(key, row);
    } else if (into instanceof Set && from instanceof Set) {
      into.clear();
      for (const id of from) into.add(id);
    }
  };
  return {
    bench,
    backUp: () => {
      const kept = structuredClone(held);
      return async () => {
        const { tables, leases } = structuredClone(kept);
        put(held.leases, leases);
        for (const [name, rows] of Object.entries(tables)) put(held.tables[name as keyof typeof tables], rows);
        await bench.takeOver();
      };
    },
    mark: async () => {
      const seen = await bench.store.readLease(pool);
      const lease = await bench.store.takeLease(pool, "test", seen, (seen?.term ?? 0) + 1_000);
      const row = { pool, since: bench.now.wall, by: "ana", byReason: null, why: "a backup", short: false, letGo: false };
      const change: Change = { op: "insertHold", row };
      await bench.store.commit({ pool, term: lease?.term ?? 0, batch: (lease?.batch ?? 0) + 1, changes: [change] });
      await bench.takeOver();
    },
  };
}

/** What a ledger says of an end that was acknowledged. */
export function ended(attempt: string, run: string, seq: number, end: End = { how: "exited", code: 0 }): InventoryItem {
  return { attempt, run, start: 1, state: "ended", end, acked: { seq, startedAt: 1_000, endedAt: 2_000 } };
}

/**
 * Says hello, and answers what the leader asks of the ledger until it asks no more. `page`: ends in one answer. Returns all that
 * was said.
 */
export async function tell(hand: Hand, ledger: readonly InventoryItem[], more: Partial<Hello> = {}, page = 1_000): Promise<Said> {
  const said = [await hand.join(more)];
  for (;;) {
    const ask = itemsOf(said.at(-1) as Said, "ask", hand.id).find((item) => item.ledger)?.ledger;
    if (!ask) break;
    hand.bench.now.mono += 1;
    const above = ledger.filter((item) => (item.acked?.seq ?? 0) > ask.above);
    const items = above.slice(0, page);
    const upTo = above.length > page ? (items.at(-1)?.acked?.seq ?? 0) : hand.acked;
    const range = { above: ask.above, upTo, forgotten: 0, ...more.ledger };
    said.push(
      await hand.join({ ...more, ledger: range, inventory: { part: 1, of: 1, items: [...hand.live.values(), ...items] } }),
    );
  }
  return {
    answers: new Map(),
    items: said.flatMap((each) => each.items),
    events: said.flatMap((each) => each.events),
    notes: said.flatMap((each) => each.notes),
    changes: said.length,
  };
}

/** Kinds of the alarms that stand. */
export const alarmKinds = (bench: Bench): string[] => alarms(bench.state, bench.now).map((alarm) => alarm.kind);

/** A queued run in the backup that ran and ended on `a` in the hour that is lost, after which the database comes back. */
export async function finishedSince(
  options: { readonly onlyWorkers?: readonly string[]; readonly task?: Parameters<typeof makeTask>[1] } = {},
) {
  const restorable = await openRestorable();
  const { bench } = restorable;
  const task = await makeTask(bench, options.task ?? {});
  const hands = new Map<string, Hand>();
  for (const id of options.onlyWorkers ?? ["a", "b"]) hands.set(id, await joined(bench, id));
  for (const id of hands.keys()) await bench.ask({ kind: "drainWorker", workerId: id, on: true, ...asker });
  const run = await start(bench, task);
  const putBack = restorable.backUp();
  return { ...restorable, putBack, run, task, hands, a: hands.get("a") as Hand, b: hands.get("b") as Hand };
}

/** Puts the database back; with the mark as an operator would. */
export async function takeBack(
  made: Awaited<ReturnType<typeof finishedSince>>,
  ways: { readonly marked: boolean } = { marked: true },
): Promise<void> {
  await made.putBack();
  if (ways.marked) await made.mark();
  await made.bench.pass(10);
}
