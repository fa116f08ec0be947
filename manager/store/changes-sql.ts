/**
 * The statements of each change. The same texts serve SQLite and MariaDB; the two that cannot be written alike are given
 * by the dialect.
 */
import { managerLimits } from "../../schema/limits.ts";
import { storeLimits } from "../../schema/limits/store.ts";
import type { Labels } from "../../schema/task.ts";
import type { Codecs } from "./codecs.ts";
import type { StoredChange } from "./event-rows.ts";
import { labelText, type RowCodec, type Value } from "./rows.ts";

/** One statement. `must`: it has to change exactly one row, or the batch cannot be (an update of a row that is not there). */
export interface Statement {
  readonly text: string;
  readonly values: readonly Value[];
  readonly must?: string;
}

/** What the dialects write differently. */
export interface DialectTexts {
  /** Values: before, limit. Deletes the oldest keys first. */
  readonly deleteKeys: string;
}

/** Deletes all but the newest of what was set aside; a row at a time is enough, because rows come one at a time. */
const trimSetAside = `DELETE FROM \`set_aside\` WHERE \`id\` = (SELECT \`id\` FROM (SELECT \`id\` FROM \`set_aside\` ORDER BY \`at\` DESC, \`id\` DESC LIMIT 1 OFFSET ${managerLimits.setAside}) AS oldest)`;

const insertRunLabel = "INSERT INTO `run_labels` (`label`, `created_at`, `run_order`, `pool`, `run_id`) VALUES (?, ?, ?, ?, ?)";
const deleteHold = "DELETE FROM `holds` WHERE `pool` = ?";
const deleteTaskLabels = "DELETE FROM `task_labels` WHERE `task_id` = ?";
const insertTaskLabel =
  "INSERT INTO `task_labels` (`label`, `created_at`, `task_id`) SELECT ?, `created_at`, `id` FROM `tasks` WHERE `id` = ?";
const deleteWorkerLabels = "DELETE FROM `worker_labels` WHERE `worker_id` = ? AND `given_by` = ?";
const insertWorkerLabel = "INSERT INTO `worker_labels` (`label`, `given_by`, `worker_id`) VALUES (?, ?, ?)";

/** The statements that make one change, in order. */
export function statementsOf(change: StoredChange, codecs: Codecs, texts: DialectTexts): Statement[] {
  switch (change.op) {
    case "insertTask":
      return [insert(codecs.task, change.row), ...taskLabels(change.row.id, change.row.labels)];
    case "updateTask":
      return [
        ...update(codecs.task, change.set, { id: change.id }, `task ${change.id}`),
        ...changedTaskLabels(change.id, change.set),
      ];
    case "insertVersion":
      return [insert(codecs.version, change.row)];
    case "insertRun": {
      const { id, pool, order, createdAt, labels } = change.row;
      const labelled = labelTexts(labels).map((label) => ({ text: insertRunLabel, values: [label, createdAt, order, pool, id] }));
      return [insert(codecs.run, change.row), ...labelled];
    }
    case "updateRun":
      return update(codecs.run, change.set, { id: change.id }, `run ${change.id}`);
    case "insertAttempt":
      return [insert(codecs.attempt, change.row)];
    case "updateAttempt":
      return update(codecs.attempt, change.set, { id: change.id }, `attempt ${change.id}`);
    case "insertWorker": {
      const { id, ownLabels, apiLabels } = change.row;
      return [insert(codecs.worker, change.row), ...workerLabels(id, "own", ownLabels), ...workerLabels(id, "api", apiLabels)];
    }
    case "updateWorker": {
      const { ownLabels, apiLabels } = change.set;
      return [
        ...update(codecs.worker, change.set, { id: change.id }, `worker ${change.id}`),
        ...(ownLabels ? [clearWorkerLabels(change.id, "own"), ...workerLabels(change.id, "own", ownLabels)] : []),
        ...(apiLabels ? [clearWorkerLabels(change.id, "api"), ...workerLabels(change.id, "api", apiLabels)] : []),
      ];
    }
    case "insertJournal":
      return [insert(codecs.journal, change.row)];
    case "updateJournal": {
      const { workerId, journal, applied } = change;
      return update(codecs.journal, { applied }, { workerId, journal }, `journal ${journal} of worker ${workerId}`);
    }
    case "insertEventRow":
      return [insert(codecs.event, change.row)];
    case "insertKey":
      return [insert(codecs.key, change.row)];
    case "deleteKeys":
      return [{ text: texts.deleteKeys, values: [change.before, storeLimits.keysForgotten] }];
    case "insertSetAside":
      return [insert(codecs.setAside, change.row), { text: trimSetAside, values: [] }];
    case "insertHold":
      return [insert(codecs.hold, change.row)];
    case "updateHold":
      return update(codecs.hold, change.set, { pool: change.pool }, `hold of pool ${change.pool}`);
    case "deleteHold":
      return [{ text: deleteHold, values: [change.pool], must: `There is no hold of pool ${change.pool} to end.` }];
  }
}

function insert<R>(codec: RowCodec<R>, row: NoInfer<R>): Statement {
  return { text: codec.insert, values: codec.encode(row) };
}

function update<R>(codec: RowCodec<R>, set: NoInfer<Partial<R>>, where: NoInfer<Partial<R>>, what: string): Statement[] {
  const statement = codec.update(set, where);
  return statement ? [{ ...statement, must: `There is no ${what} to update.` }] : [];
}

function labelTexts(labels: Labels): string[] {
  return Object.entries(labels).map(([key, value]) => labelText(key, value));
}

function taskLabels(taskId: string, labels: Labels): Statement[] {
  return labelTexts(labels).map((label) => ({ text: insertTaskLabel, values: [label, taskId] }));
}

/** A deleted task leaves the label table, so that pages by label do not wade through what nobody lists. */
function changedTaskLabels(taskId: string, set: { readonly labels?: Labels; readonly deleted?: boolean }): Statement[] {
  if (set.deleted !== true && set.labels === undefined) return [];
  const clear = { text: deleteTaskLabels, values: [taskId] };
  return set.deleted === true ? [clear] : [clear, ...taskLabels(taskId, set.labels ?? {})];
}

function clearWorkerLabels(workerId: string, givenBy: "own" | "api"): Statement {
  return { text: deleteWorkerLabels, values: [workerId, givenBy] };
}

function workerLabels(workerId: string, givenBy: "own" | "api", labels: Labels): Statement[] {
  return labelTexts(labels).map((label) => ({ text: insertWorkerLabel, values: [label, givenBy, workerId] }));
}
