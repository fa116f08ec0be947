import { expect, test } from "vitest";
import { foldChanges } from "../../../manager/control/changes-fold.ts";
import type { Change } from "../../../manager/control/changes.ts";
import type { RunRecord } from "../../../manager/control/records.ts";

const run = { id: "r", state: "queued", tries: 0 } as RunRecord;

test("updates go into the insert or the first update of their row, and nothing else moves", () => {
  const event = { op: "insertEvent", row: { number: 1 } } as unknown as Change;
  const changes: Change[] = [
    { op: "insertRun", row: run },
    { op: "updateWorker", id: "r", set: { connection: 1 } },
    event,
    { op: "updateRun", id: "r", set: { state: "starting" } },
    { op: "updateRun", id: "other", set: { tries: 1 } },
    { op: "updateRun", id: "r", set: { tries: 2 } },
    { op: "updateWorker", id: "r", set: { draining: true } },
    { op: "insertJournal", row: { workerId: "a", journal: "j", applied: 1 } },
    { op: "updateJournal", workerId: "a", journal: "j", applied: 5 },
    { op: "updateJournal", workerId: "b", journal: "j", applied: 2 },
    { op: "updateJournal", workerId: "b", journal: "j", applied: 3 },
  ];
  expect(foldChanges(changes)).toEqual([
    { op: "insertRun", row: { id: "r", state: "starting", tries: 2 } },
    { op: "updateWorker", id: "r", set: { connection: 1, draining: true } },
    { op: "updateRun", id: "other", set: { tries: 1 } },
    { op: "insertJournal", row: { workerId: "a", journal: "j", applied: 5 } },
    { op: "updateJournal", workerId: "b", journal: "j", applied: 3 },
    event,
  ]);
});

test("changes of tasks keep their order: a name that one leaves another may take", () => {
  const changes: Change[] = [
    { op: "updateTask", id: "a", set: { labels: {} } },
    { op: "updateTask", id: "b", set: { name: "z" } },
    { op: "updateTask", id: "a", set: { name: "y" } },
  ];
  expect(foldChanges(changes)).toEqual(changes);
});

test("two inserts of one row are a bug that is told", () => {
  expect(() =>
    foldChanges([
      { op: "insertRun", row: run },
      { op: "insertRun", row: run },
    ]),
  ).toThrow(/insertRun after insertRun/);
});
