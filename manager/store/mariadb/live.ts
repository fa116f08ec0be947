/**
 * What a new leader loads of its pool: by index, however long the history is. Nobody else writes the pool's rows under this
 * term, so that several statements see one state.
 */
import type { AttemptRecord, LiveState, RunRecord } from "../../control/records.ts";
import type { Codecs } from "../codecs.ts";
import { lastNumberOf, newestEventRow } from "../event-rows.ts";
import { heldStates, terminalStates } from "../states.ts";
import type { Connections } from "./connection.ts";

type Read = Pick<Connections, "read">;

/** Everything of the pool that lives. */
export async function loadLive(from: Read, codecs: Codecs, pool: string): Promise<LiveState> {
  const number = async (text: string): Promise<number> => Number((await from.read(text, [pool]))[0]?.[0] ?? 0);
  const [workers, journals, runs, attempts, orphans, queued, lastEvent, holds] = await Promise.all([
    from.read(`${codecs.worker.select} WHERE \`pool\` = ? ORDER BY \`id\``, [pool]),
    from.read(
      `SELECT ${codecs.journal.columns("j")} FROM \`workers\` w STRAIGHT_JOIN \`journals\` j ON j.\`worker_id\` = w.\`id\` WHERE w.\`pool\` = ?` +
        " ORDER BY j.`worker_id`, j.`journal`",
      [pool],
    ),
    held((state) => from.read(`${codecs.run.select} WHERE \`pool\` = ? AND \`state\` = ?`, [pool, state])),
    // STRAIGHT_JOIN keeps the server from beginning with the attempts, of which there are millions.
    held((state) =>
      from.read(
        `SELECT ${codecs.attempt.columns("a")} FROM \`runs\` r STRAIGHT_JOIN \`attempts\` a ON a.\`run_id\` = r.\`id\`` +
          " WHERE r.`pool` = ? AND r.`state` = ?",
        [pool, state],
      ),
    ),
    orphansOf(from, codecs, pool),
    number("SELECT COUNT(*) FROM `runs` WHERE `pool` = ? AND `state` = 'queued'"),
    from.read(newestEventRow, [pool]).then((rows) => lastNumberOf(rows[0])),
    from.read(`${codecs.hold.select} WHERE \`pool\` = ?`, [pool]),
  ]);
  const byRun = groupedByRun(attempts.map(codecs.attempt.decode));
  return {
    workers: workers.map(codecs.worker.decode),
    journals: journals.map(codecs.journal.decode),
    runs: runs
      .map(codecs.run.decode)
      .toSorted((a: RunRecord, b: RunRecord) => a.order - b.order)
      .map((run) => ({ run, attempts: byRun.get(run.id) ?? [] })),
    queued,
    orphans,
    lastEvent,
    hold: holds[0] ? codecs.hold.decode(holds[0]) : null,
  };
}

/** One state after the other: each is a range of an index. */
async function held(read: (state: string) => Promise<unknown[][]>): Promise<unknown[][]> {
  const rows: unknown[][] = [];
  for (const state of heldStates) for (const row of await read(state)) rows.push(row);
  return rows;
}

/** Attempts that have not ended although their run has. */
async function orphansOf(from: Read, codecs: Codecs, pool: string): Promise<AttemptRecord[]> {
  const terminal = terminalStates.map(() => "?").join(", ");
  const rows = await from.read(
    `SELECT ${codecs.attempt.columns("a")} FROM \`attempts\` a STRAIGHT_JOIN \`runs\` r ON r.\`id\` = a.\`run_id\`` +
      ` WHERE a.\`pool\` = ? AND a.\`state\` <> 'ended' AND r.\`state\` IN (${terminal})`,
    [pool, ...terminalStates],
  );
  return rows.map(codecs.attempt.decode).toSorted((a, b) => a.sentAt - b.sentAt || (a.id < b.id ? -1 : 1));
}

/** The attempts of each run, by number. */
export function groupedByRun(attempts: readonly AttemptRecord[]): Map<string, AttemptRecord[]> {
  const byRun = new Map<string, AttemptRecord[]>();
  for (const attempt of attempts.toSorted((a, b) => a.number - b.number)) {
    const known = byRun.get(attempt.runId);
    if (known) known.push(attempt);
    else byRun.set(attempt.runId, [attempt]);
  }
  return byRun;
}
