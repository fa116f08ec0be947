/** What a leader's core needs for its next step: all needs of one kind in one statement, by primary or unique key. */
import type { Loaded, Need } from "../../control/inputs.ts";
import type { Codecs } from "../codecs.ts";
import type { RowCodec, Value } from "../rows.ts";
import { unendedStates } from "../states.ts";
import type { Connections } from "./connection.ts";
import { groupedByRun } from "./live.ts";

/** Keys in one `IN (…)`. */
const keysInOne = 500;

type Read = Pick<Connections, "read">;
type NeedOf<K extends Need["need"]> = Extract<Need, { readonly need: K }>;

/** The answers, in the order of the needs. */
export async function loadNeeds(from: Read, codecs: Codecs, pool: string, needs: readonly Need[]): Promise<Loaded[]> {
  const found = await rowsByKey(from, codecs, needs);
  const loaded = async (need: Need): Promise<Loaded> => {
    switch (need.need) {
      case "task":
        return { ...need, found: found.tasks.get(need.id) ?? null };
      case "taskByName":
        return { ...need, found: found.named.get(textOf(need.pool, need.name)) ?? null };
      case "version":
        return { ...need, found: found.versions.get(textOf(need.taskId, need.version)) ?? null };
      case "key":
        return { ...need, found: found.keys.get(textOf(need.taskId, need.key)) ?? null };
      case "run": {
        const run = found.runs.get(need.id);
        return { ...need, found: run ? { run, attempts: found.attemptsByRun.get(need.id) ?? [] } : null };
      }
      case "attempts":
        return { need: "attempts", found: need.ids.flatMap((id) => found.attempts.get(id) ?? []) };
      case "poolOfWorker": {
        const [row] = await from.read("SELECT `pool` FROM `workers` WHERE `id` = ?", [need.id]);
        return { ...need, found: (row?.[0] as string | undefined) ?? null };
      }
      case "liveRunsOfTask":
        return await liveRunsOfTask(from, need.taskId, need.limit);
      case "queuePage":
        return await queuePage(from, codecs, pool, need);
    }
  };
  return await Promise.all(needs.map(loaded));
}

/** Everything that is asked for by a key. */
async function rowsByKey(from: Read, codecs: Codecs, needs: readonly Need[]) {
  const of = <K extends Need["need"]>(kind: K) => needs.filter((need): need is NeedOf<K> => need.need === kind);
  const taskIds = of("task").map(({ id }) => [id]);
  const names = of("taskByName").map((need) => [need.pool, need.name]);
  const versionKeys = of("version").map((need) => [need.taskId, need.version]);
  const keyKeys = of("key").map((need) => [need.taskId, need.key]);
  const runIds = of("run").map(({ id }) => [id]);
  const attemptIds = of("attempts").flatMap((need) => need.ids.map((id) => [id]));
  const [tasks, named, versions, keys, runs, attempts, attemptsOfRuns] = await Promise.all([
    readByKey(from, codecs.task, "`id`", taskIds),
    readByKey(from, codecs.task, "`pool`, `live_name`", names),
    readByKey(from, codecs.version, "`task_id`, `version`", versionKeys),
    readByKey(from, codecs.key, "`task_id`, `idempotency_key`", keyKeys),
    readByKey(from, codecs.run, "`id`", runIds),
    readByKey(from, codecs.attempt, "`id`", attemptIds),
    readByKey(from, codecs.attempt, "`run_id`", runIds),
  ]);
  return {
    tasks: new Map(tasks.map((row) => [row.id, row])),
    named: new Map(named.map((row) => [textOf(row.pool, row.name), row])),
    versions: new Map(versions.map((row) => [textOf(row.taskId, row.version), row])),
    keys: new Map(keys.map((row) => [textOf(row.taskId, row.key), row])),
    runs: new Map(runs.map((row) => [row.id, row])),
    attempts: new Map(attempts.map((row) => [row.id, row])),
    attemptsByRun: groupedByRun(attemptsOfRuns),
  };
}

/** A text that tells keys of two parts apart. */
function textOf(first: string, second: string | number): string {
  return JSON.stringify([first, second]);
}

async function readByKey<R>(from: Read, codec: RowCodec<R>, columns: string, keys: readonly (readonly Value[])[]): Promise<R[]> {
  const found: R[] = [];
  for (let at = 0; at < keys.length; at += keysInOne) {
    const some = keys.slice(at, at + keysInOne);
    const marks = some.map((key) => `(${key.map(() => "?").join(", ")})`).join(", ");
    const rows = await from.read(`${codec.select} WHERE (${columns}) IN (${marks})`, some.flat());
    for (const row of rows) found.push(codec.decode(row));
  }
  return found;
}

async function liveRunsOfTask(from: Read, taskId: string, limit: number): Promise<Loaded> {
  const found: string[] = [];
  const text = "SELECT `id` FROM `runs` WHERE `task_id` = ? AND `state` = ? ORDER BY `created_at`, `run_order`, `pool` LIMIT ?";
  for (const state of unendedStates) {
    if (found.length >= limit) break;
    for (const row of await from.read(text, [taskId, state, limit - found.length])) found.push(row[0] as string);
  }
  return { need: "liveRunsOfTask", taskId, found };
}

async function queuePage(from: Read, codecs: Codecs, pool: string, need: Extract<Need, { need: "queuePage" }>): Promise<Loaded> {
  const text = `${codecs.run.select} FORCE INDEX (\`runs_queue\`) WHERE \`pool\` = ? AND \`state\` = 'queued' AND \`run_order\` > ? ORDER BY \`run_order\` LIMIT ?`;
  const rows = await from.read(text, [pool, need.after, need.limit]);
  return { need: "queuePage", after: need.after, found: rows.map(codecs.run.decode) };
}
