/** The leader's verbs on MariaDB. The lease is a row, and every commit is a transaction that begins by advancing it (rule 17). */
import { format } from "mysql2";
import type { Codecs } from "../codecs.ts";
import type { Value } from "../rows.ts";
import { StoreError, type Batch, type CommitResult, type LeaderStore, type LeaseRow } from "../store.ts";
import { commitTexts, signals } from "./commit-text.ts";
import type { Connections } from "./connection.ts";
import { Grouper } from "./grouper.ts";
import { loadLive } from "./live.ts";
import { loadNeeds } from "./loads.ts";

/** MariaDB's number for a row whose key is taken (ER_DUP_ENTRY). */
const duplicate = 1062;

export function mariadbLeader(connections: Connections, codecs: Codecs): LeaderStore {
  const grouper = new Grouper(codecs);
  const own = { read: connections.load };
  return {
    leaseIsLock: false,
    readLease: async (pool) => {
      const [row] = await own.read(`${codecs.lease.select} WHERE \`pool\` = ?`, [pool]);
      return row ? codecs.lease.decode(row) : null;
    },
    takeLease: (pool, holder, seen, aboveTerm) => takeLease(connections, codecs, { pool, holder, seen, aboveTerm }),
    renewLease: (pool, term) =>
      matchesOne(connections, "UPDATE `leases` SET `beat` = `beat` + 1 WHERE `pool` = ? AND `term` = ?", [pool, term]),
    releaseLease: async (pool, term) => {
      await matchesOne(connections, "UPDATE `leases` SET `holder` = '' WHERE `pool` = ? AND `term` = ?", [pool, term]);
    },
    commit: (batch) => commit(connections, grouper, batch),
    load: (pool, needs) => loadNeeds(own, codecs, pool, needs),
    loadLive: (pool) => loadLive(own, codecs, pool),
  };
}

async function matchesOne(connections: Connections, text: string, values: readonly Value[]): Promise<boolean> {
  return (await connections.write([format(text, [...values])])).matched === 1;
}

interface Taking {
  readonly pool: string;
  readonly holder: string;
  readonly seen: LeaseRow | null;
  readonly aboveTerm: number;
}

/** Of two who saw the same row one finds it as it was: the other's statement waits for the row and then matches nothing. */
async function takeLease(connections: Connections, codecs: Codecs, taking: Taking): Promise<LeaseRow | null> {
  const { pool, holder, seen } = taking;
  const term = Math.max(seen?.term ?? 0, taking.aboveTerm) + 1;
  if (seen) {
    const text = "UPDATE `leases` SET `holder` = ?, `term` = ? WHERE `pool` = ? AND `term` = ? AND `batch` = ? AND `beat` = ?";
    const taken = await matchesOne(connections, text, [holder, term, pool, seen.term, seen.batch, seen.beat]);
    return taken ? { ...seen, holder, term } : null;
  }
  const made: LeaseRow = { pool, holder, term, batch: 0, beat: 0 };
  try {
    await connections.write([format(codecs.lease.insert, codecs.lease.encode(made))]);
    return made;
  } catch (error) {
    if (errorNumber(error) === duplicate) return null;
    throw error;
  }
}

async function commit(connections: Connections, grouper: Grouper, batch: Batch): Promise<CommitResult> {
  try {
    await connections.write(commitTexts(batch, grouper.groups(batch.changes), connections.textBytes));
    return "applied";
  } catch (error) {
    const number = errorNumber(error);
    if (number === signals.deposed) return "deposed";
    if (number === signals.noSuchRow) throw new StoreError("permanent", true, messageOf(error), { cause: error });
    if (number === signals.transactionGone)
      throw new StoreError("transient", true, "The transaction ended before its last statement.", { cause: error });
    throw error;
  }
}

/** The server's number, also of an error that was wrapped on its way. */
function errorNumber(error: unknown): number | undefined {
  const { errno, cause } = error as { errno?: unknown; cause?: { errno?: unknown } };
  const number = errno ?? cause?.errno;
  return typeof number === "number" ? number : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
