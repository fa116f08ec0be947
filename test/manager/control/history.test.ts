import { expect, test } from "vitest";
import { byRun, type EventChange } from "../../../manager/control/history.ts";
import { event } from "../../contract/store/rows.ts";
import type { EventKind } from "../../../schema/event.ts";

const change = (number: number, kind: EventKind, runId: string | null): EventChange => ({
  op: "insertEvent",
  row: event({ number, kind, runId }),
});
const shown = (changes: readonly EventChange[]): string[] =>
  changes.map(({ row }) => `${row.number} ${row.kind} ${row.runId ?? "-"}`);

test("events of one run stand together, with consecutive numbers out of those that the batch had", () => {
  const events = [
    change(11, "runQueued", "a"),
    change(12, "runQueued", "b"),
    change(13, "attemptSent", "a"),
    change(14, "attemptSent", "b"),
  ];
  expect(shown(byRun(events))).toEqual(["11 runQueued a", "12 attemptSent a", "13 runQueued b", "14 attemptSent b"]);
  expect(shown(events)[1], "what was given is left as it was").toBe("12 runQueued b");
});

test("nothing passes an event of another kind: what a worker or a task went through stays where it happened", () => {
  const events = [
    change(1, "runQueued", "a"),
    change(2, "workerJoined", null),
    change(3, "attemptSent", "a"),
    change(4, "attemptEnded", "b"),
    change(5, "runRetrying", "b"),
    change(6, "attemptSent", "b"),
    change(7, "attemptEnded", "a"),
    change(8, "attemptRunning", "b"),
  ];
  expect(shown(byRun(events))).toEqual([
    "1 runQueued a",
    "2 workerJoined -",
    "3 attemptSent a",
    "4 attemptEnded b",
    "5 runRetrying b",
    "6 attemptSent b",
    "7 attemptRunning b",
    "8 attemptEnded a",
  ]);
});
