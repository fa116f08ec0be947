import { expect, test } from "vitest";
import type { End } from "../../schema/end.ts";
import { checkHistory, violationKinds, type ViolationKind } from "./checker.ts";
import type { Happening, HistoryLine, Policy, ReadRun } from "./history.ts";

const policy: Policy = { taskId: "t", mostStarts: 1, mayOverlap: false, mayBeLost: false };
const exited = (code: number): End => ({ how: "exited", code });
const asked = (call: number, tag = "one", key: string | null = "k"): Happening => ({
  kind: "asked",
  call,
  starts: [{ tag, taskId: "t", key }],
});
const answered = (call: number, runId: string): Happening => ({
  kind: "answered",
  call,
  starts: [{ status: 202, runId, code: null }],
});
const refused = (call: number, code: string): Happening => ({
  kind: "answered",
  call,
  starts: [{ status: 503, runId: null, code }],
});
const failed = (call: number): Happening => ({ kind: "failed", call, why: "ECONNRESET" });
const witness = (runId: string, attempt: number, code: number | null = null, pid = 100): Happening => ({
  kind: "witness",
  line: { runId, attempt, pid, code },
});

function run(id: string, state: ReadRun["state"], ends: readonly (End | null)[], more: Partial<ReadRun> = {}): Happening {
  const attempts = ends.map((end, n) => ({
    id: `${id}-${n + 1}`,
    number: n + 1,
    workerId: "a",
    state: end ? ("ended" as const) : ("running" as const),
    end,
  }));
  const last = state === "running" ? null : (ends.at(-1) ?? null);
  return { kind: "read", run: { id, taskId: "t", state, end: last, labels: { tag: "one" }, workerId: "a", attempts, ...more } };
}

/** Happenings a second apart, between the task's policy and a healing, and the listing of these runs after it. */
function judged(happenings: readonly Happening[], runIds: readonly string[], own: Partial<Policy> = {}, waitedMs = 1_000) {
  const before: Happening[] = [{ kind: "policy", policy: { ...policy, ...own } }];
  const lines: HistoryLine[] = [...before, ...happenings].map((one, n) => ({ at: n * 1_000, ...one }));
  const healedAt = lines.length * 1_000;
  lines.push({ at: healedAt, kind: "healed" }, { at: healedAt + waitedMs, kind: "listing", runIds });
  return checkHistory(lines);
}

const well: readonly Happening[] = [
  asked(1),
  failed(1),
  asked(2),
  answered(2, "r"),
  { kind: "commands", workerId: "a", items: [{ kind: "start", attempt: "r-1" }] },
  { kind: "reports", workerId: "a", items: [{ kind: "end", attempt: "r-1", end: exited(3) }] },
  witness("r", 1),
  witness("r", 1, 3),
  run("r", "running", [null]),
  run("r", "failed", [exited(3)]),
  run("r", "failed", [exited(3)]),
];

test("a history in which all is well has no violation, and says what was judged", () => {
  expect(judged(well, ["r"])).toEqual({
    violations: [],
    figures: {
      starts: 1,
      acknowledged: 1,
      notTaken: 0,
      outcomeUnknown: 0,
      unanswered: 1,
      runs: 1,
      processes: 1,
      messages: 2,
    },
  });
});

/** Each: what it shows, the kind that must be found, what happened, the runs that are listed, the policy. */
type Forged = readonly [string, ViolationKind, readonly Happening[], readonly string[], Partial<Policy>?];
const forged: readonly Forged[] = [
  ["an acknowledged run is gone", "lost", [asked(1), answered(1, "r")], []],
  ["a run that was read once is not listed", "lost", well, []],
  ["a run has not ended", "stuck", [asked(1), answered(1, "r"), witness("r", 1), run("r", "running", [null])], ["r"]],
  ["one attempt is two processes", "startedTwice", [...well, witness("r", 1, null, 101)], ["r"]],
  [
    "a run of one try has two attempts that ran",
    "startedTwice",
    [
      asked(1),
      answered(1, "r"),
      witness("r", 1),
      witness("r", 1, 1),
      witness("r", 2),
      witness("r", 2, 0),
      run("r", "succeeded", [exited(1), exited(0)]),
    ],
    ["r"],
  ],
  [
    "two attempts run at once",
    "startedTwice",
    [
      asked(1),
      answered(1, "r"),
      witness("r", 1),
      witness("r", 2),
      witness("r", 1, 1),
      witness("r", 2, 0),
      run("r", "succeeded", [exited(1), exited(0)]),
    ],
    ["r"],
    { mostStarts: 2 },
  ],
  [
    "one attempt was sent to two workers",
    "startedTwice",
    [...well, { kind: "commands", workerId: "b", items: [{ kind: "start", attempt: "r-1" }] }],
    ["r"],
  ],
  [
    "one attempt ran on two workers",
    "startedTwice",
    [...well, { kind: "reports", workerId: "b", items: [{ kind: "running", attempt: "r-1" }] }],
    ["r"],
  ],
  [
    "it is said to have succeeded and nobody saw it",
    "wrongEnd",
    [asked(1), answered(1, "r"), run("r", "succeeded", [exited(0)])],
    ["r"],
  ],
  [
    "it is said to have succeeded and its process did not get there",
    "wrongEnd",
    [asked(1), answered(1, "r"), witness("r", 1), run("r", "succeeded", [exited(0)])],
    ["r"],
  ],
  [
    "another code",
    "wrongEnd",
    [asked(1), answered(1, "r"), witness("r", 1), witness("r", 1, 3), run("r", "failed", [exited(4)])],
    ["r"],
  ],
  [
    "it is called lost, and it ended",
    "wrongEnd",
    [asked(1), answered(1, "r"), witness("r", 1), witness("r", 1, 0), run("r", "lost", [{ how: "lost", why: "silence" }])],
    ["r"],
    { mayBeLost: true },
  ],
  [
    "it is called lost where nothing was taken away",
    "wrongEnd",
    [asked(1), answered(1, "r"), witness("r", 1), run("r", "lost", [{ how: "lost", why: "silence" }])],
    ["r"],
  ],
  [
    "it is said to be refused, and it ran",
    "wrongEnd",
    [
      asked(1),
      answered(1, "r"),
      witness("r", 1),
      witness("r", 2),
      witness("r", 2, 0),
      run("r", "succeeded", [{ how: "refused", why: "stale" }, exited(0)]),
    ],
    ["r"],
    { mostStarts: 2, mayOverlap: true },
  ],
  [
    "the run's end is not that of its attempt",
    "wrongEnd",
    [asked(1), answered(1, "r"), witness("r", 1), witness("r", 1, 3), run("r", "failed", [exited(3)], { end: exited(5) })],
    ["r"],
  ],
  [
    "one key, two answers",
    "idempotency",
    [...well, asked(3), answered(3, "q"), witness("q", 1), witness("q", 1, 0), run("q", "succeeded", [exited(0)])],
    ["r", "q"],
  ],
  [
    "one key, and a run that nobody was told of",
    "idempotency",
    [...well, witness("q", 1), witness("q", 1, 0), run("q", "succeeded", [exited(0)])],
    ["r", "q"],
  ],
  [
    "not-taken made a run",
    "notTaken",
    [asked(1), refused(1, "not-taken"), witness("r", 1), witness("r", 1, 0), run("r", "succeeded", [exited(0)])],
    ["r"],
  ],
  ["a terminal run changes", "changed", [...well, run("r", "succeeded", [exited(0)]), run("r", "failed", [exited(3)])], ["r"]],
  [
    "a terminal run runs again",
    "changed",
    [...well, run("r", "running", [exited(3), null]), run("r", "failed", [exited(3)])],
    ["r"],
  ],
  ["a process of no run", "unasked", [...well, witness("ghost", 1)], ["r"]],
  [
    "a run that nobody asked for",
    "unasked",
    [...well, witness("q", 1), witness("q", 1, 0), run("q", "succeeded", [exited(0)], { labels: {} })],
    ["r", "q"],
  ],
  ["a process outlives its run", "leftover", [...well, { kind: "leftover", runId: "r", pid: 100 }], ["r"]],
];

test.each(forged.map((one) => ({ name: `${one[1]}: ${one[0]}`, one })))("$name", ({ one: [, kind, happenings, runIds, own] }) => {
  const { violations } = judged(happenings, runIds, own);
  expect(violations.map((one) => one.kind)).toContain(kind);
});

test("every kind of violation has a forged history, and each sentence names what it is about", () => {
  expect(new Set(forged.map(([, kind]) => kind))).toEqual(new Set(violationKinds));
  for (const [, kind, happenings, runIds, own] of forged) {
    const found = judged(happenings, runIds, own).violations.find((one) => one.kind === kind);
    expect(found?.sentence).toMatch(/\b(r|q|one|ghost|r-1)\b/);
  }
});

/** What looks odd and is allowed: no violation may be found. */
type Allowed = readonly [string, readonly Happening[], readonly string[], Partial<Policy>?];
const allowed: readonly Allowed[] = [
  ["not-taken, repeated, and then taken", [asked(1), refused(1, "not-taken"), ...well], ["r"]],
  ["not-taken and never repeated: there is no run", [asked(1), refused(1, "not-taken")], []],
  [
    "an unknown outcome that nobody repeated: the run may be there",
    [asked(1), refused(1, "outcome-unknown"), witness("r", 1), witness("r", 1, 0), run("r", "succeeded", [exited(0)])],
    ["r"],
  ],
  ["an unknown outcome that did nothing", [asked(1), failed(1)], []],
  [
    "a retry after the first try has ended",
    [
      asked(1),
      answered(1, "r"),
      witness("r", 1),
      witness("r", 1, 1),
      witness("r", 2),
      witness("r", 2, 0),
      run("r", "succeeded", [exited(1), exited(0)]),
    ],
    ["r"],
    { mostStarts: 2 },
  ],
  [
    "an attempt that was refused, and placed again",
    [
      asked(1),
      answered(1, "r"),
      witness("r", 2),
      witness("r", 2, 0),
      run("r", "succeeded", [{ how: "refused", why: "stale" }, exited(0)]),
    ],
    ["r"],
  ],
  [
    "stopped before it could write its end",
    [asked(1), answered(1, "r"), witness("r", 1), run("r", "stopped", [{ how: "stopped", by: "ana" }])],
    ["r"],
  ],
  [
    "lost, where the scenario took its host away",
    [asked(1), answered(1, "r"), witness("r", 1), run("r", "lost", [{ how: "lost", why: "reboot" }])],
    ["r"],
    { mayBeLost: true },
  ],
];

test.each(allowed.map((one) => ({ name: one[0], one })))(
  "nothing is wrong with $name",
  ({ one: [, happenings, runIds, own] }) => {
    expect(judged(happenings, runIds, own).violations).toEqual([]);
  },
);

test("stuck says whether it was waited long enough", () => {
  const running = [asked(1), answered(1, "r"), run("r", "running", [null])];
  expect(judged(running, ["r"], {}, 61_000).violations[0]?.sentence).toBe("run r is still running 61 s after all was well again");
  expect(judged(running, ["r"], {}, 5_000).violations[0]?.sentence).toContain("5 s after all was well again");
});
