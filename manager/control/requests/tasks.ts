/** Requests that make, change and delete tasks. Each edit makes a new version; names are unique among the tasks not deleted. */
import { parseConstraint } from "../../../schema/constraint.ts";
import type { Problem } from "../../../schema/problem.ts";
import { recall, remember } from "../cache.ts";
import type { Asker, DefinitionToStore, Request } from "../inputs.ts";
import type { TaskRecord, TaskVersionRecord } from "../records.ts";
import { versionKey } from "../state.ts";
import { answer, answerProblem, emit, sayProblem, type Turn } from "../turn.ts";
import { compileVersion } from "../versions.ts";

type Of<K extends Request["kind"]> = Extract<Request, { kind: K }>;

/** A task of this pool that is not deleted; undefined when there is none. `needsOf` has seen to it that the answer is known. */
export function taskOf(turn: Turn, id: string): TaskRecord | undefined {
  const task = recall(turn.state.tasks, id);
  return task && !task.deleted && task.pool === turn.state.options.pool ? task : undefined;
}

export function noTask(id: string): Problem {
  return sayProblem("not-found", `there is no task with id ${id}`);
}

export function createTask(turn: Turn, ticket: number, request: Of<"createTask">): void {
  const wrong = wrongDefinition(turn, request.store) ?? nameTaken(turn, request.store.definition.name, null);
  if (wrong) answerProblem(turn, ticket, wrong);
  else insertTask(turn, ticket, request.id, request.store, request);
}

export function putTaskByName(turn: Turn, ticket: number, request: Of<"putTaskByName">): void {
  const wrong = wrongDefinition(turn, request.store);
  if (wrong) {
    answerProblem(turn, ticket, wrong);
    return;
  }
  const id = recall(turn.state.names, request.store.definition.name);
  const task = id ? taskOf(turn, id) : undefined;
  if (task) {
    replaceVersion(turn, ticket, task, request.store, request.ifMatch, request);
  } else if (request.ifMatch !== null) {
    answerProblem(
      turn,
      ticket,
      sayProblem("version-changed", `If-Match names version ${request.ifMatch}, but there is no task of this name`),
    );
  } else {
    insertTask(turn, ticket, request.id, request.store, request);
  }
}

export function changeTask(turn: Turn, ticket: number, request: Of<"changeTask">): void {
  const task = taskOf(turn, request.taskId);
  const wrong = task ? wrongDefinition(turn, request.store) : noTask(request.taskId);
  if (!task || wrong) answerProblem(turn, ticket, wrong ?? noTask(request.taskId));
  else replaceVersion(turn, ticket, task, request.store, request.expectedVersion, request);
}

function insertTask(turn: Turn, ticket: number, id: string, store: DefinitionToStore, asker: Asker): void {
  const { state, now } = turn;
  const { definition } = store;
  const task: TaskRecord = {
    id,
    pool: state.options.pool,
    createdAt: now.wall,
    name: definition.name,
    version: 1,
    labels: definition.labels,
    kind: definition.kind,
    updatedAt: now.wall,
    deleted: false,
  };
  turn.changes.push({ op: "insertTask", row: task });
  remember(state.tasks, id, task);
  remember(state.names, task.name, id);
  const version = insertVersion(turn, task, store, asker);
  emit(turn, "taskCreated", { taskId: id, asker, data: { name: task.name, version: 1 } });
  answer(turn, ticket, { kind: "task", task, version, created: true });
}

function replaceVersion(
  turn: Turn,
  ticket: number,
  task: TaskRecord,
  store: DefinitionToStore,
  expected: number | null,
  asker: Asker,
): void {
  const { state, now } = turn;
  const { definition } = store;
  const wrong = changedMeanwhile(task, expected) ?? nameTaken(turn, definition.name, task.id);
  if (wrong) {
    answerProblem(turn, ticket, wrong);
    return;
  }
  const set = { name: definition.name, version: task.version + 1, labels: definition.labels, updatedAt: now.wall };
  const changed: TaskRecord = { ...task, ...set };
  turn.changes.push({ op: "updateTask", id: task.id, set });
  remember(state.tasks, task.id, changed);
  if (changed.name !== task.name) remember(state.names, task.name, null);
  remember(state.names, changed.name, task.id);
  const version = insertVersion(turn, changed, store, asker);
  emit(turn, "taskChanged", { taskId: task.id, asker, data: { name: changed.name, version: changed.version } });
  answer(turn, ticket, { kind: "task", task: changed, version, created: false });
}

function insertVersion(turn: Turn, task: TaskRecord, store: DefinitionToStore, asker: Asker): TaskVersionRecord {
  const row: TaskVersionRecord = {
    taskId: task.id,
    version: task.version,
    definition: store.definition,
    body: store.body,
    script: store.script,
    createdAt: turn.now.wall,
    by: asker.by,
    byReason: asker.byReason,
  };
  turn.changes.push({ op: "insertVersion", row });
  remember(turn.state.versions, versionKey(task.id, task.version), compileVersion(row));
  return row;
}

/** 412 unless the task is at the version that the client saw. */
export function changedMeanwhile(task: TaskRecord, expected: number | null): Problem | undefined {
  if (expected === null || expected === task.version) return undefined;
  return sayProblem(
    "version-changed",
    `the task is at version ${task.version}, not ${expected}; read it again and repeat the change`,
  );
}

function nameTaken(turn: Turn, name: string, by: string | null): Problem | undefined {
  const id = recall(turn.state.names, name);
  const other = id && id !== by ? taskOf(turn, id) : undefined;
  return (
    other && sayProblem("name-taken", `the task ${other.id} of pool ${other.pool} has the name ${JSON.stringify(name)} already`)
  );
}

function wrongDefinition(turn: Turn, store: DefinitionToStore): Problem | undefined {
  const { pool } = turn.state.options;
  const { definition } = store;
  if (definition.pool !== pool)
    return sayProblem("impossible", `a task cannot move from pool ${pool} to pool ${definition.pool}; make a new one there`);
  const errors = definition.constraints.flatMap((text, index) => {
    const parsed = parseConstraint(text);
    return parsed.ok ? [] : [{ at: `/constraints/${index}`, message: `at character ${parsed.position}: ${parsed.message}` }];
  });
  return errors.length > 0 ? sayProblem("impossible", "a constraint cannot be read", { errors }) : undefined;
}
