import type { PlantedBug } from "../planted.ts";

/** In what the worker takes on, and in what it says of an end. */
export const endBugs: readonly PlantedBug[] = [
  {
    name: "believe the exit code of what was ended",
    rule: 24,
    breaks: "a timeout and a stop pass for failures of the program",
    changes: [
      {
        file: "worker/agent/ends.ts",
        edits: [
          { find: "if (gone.termBefore && entry.timedOut)", replace: "if (gone.termBefore && entry.timedOut && gone.fenced)" },
        ],
      },
    ],
  },
  {
    name: "drain in name only",
    rule: "a drained worker takes no starts",
    breaks: "a drained worker takes new starts",
    changes: [
      {
        file: "worker/agent/starts.ts",
        edits: [{ find: '  if (state.draining) return "draining: the worker takes no new starts";\n', replace: "" }],
      },
    ],
  },
  {
    name: "launch beyond the slots",
    rule: "slots bound what runs at once",
    breaks: "more runs on a host than it has room for",
    changes: [
      {
        file: "worker/agent/slots.ts",
        edits: [
          {
            find: "couldFit(minus(state.options.capacity, state.used), needs)",
            replace: "couldFit(state.options.capacity, needs)",
          },
        ],
      },
    ],
    caughtBy: { test: "test/worker/agent/starts.test.ts" },
  },
  {
    name: "pass over a failed exec that is told of second",
    rule: "promise 7",
    breaks: "an attempt whose program could not be executed is live for ever",
    changes: [
      {
        file: "worker/agent/launch.ts",
        edits: [
          { find: '(attempt.entry.process !== null && input.how === "refused")', replace: "attempt.entry.process !== null" },
        ],
      },
    ],
  },
  {
    name: "kill whoever has got the number of the group",
    rule: 25,
    breaks: "a stranger whose processes took over a group's number is killed with what is left of an attempt",
    changes: [
      {
        file: "worker/process/look.ts",
        edits: [
          {
            find: "    if (started.group === started.pid && leader !== undefined && leader.startTicks !== started.startTicks) continue;\n",
            replace: "    void leader;\n",
          },
        ],
      },
    ],
    caughtBy: { test: "test/worker/process/strangers.test.ts" },
  },
  {
    name: "take who is becoming another for a stranger",
    rule: 25,
    breaks: "a process that left its group and is executing another program goes on after the end of its attempt was told",
    changes: [
      {
        file: "worker/process/look.ts",
        edits: [
          {
            find: 'if (tagged === null) return "again";\n      if (tagged === undefined) {',
            replace: "if (tagged === undefined || tagged === null) {",
          },
        ],
      },
      {
        file: "worker/process/proc.ts",
        edits: [
          {
            find: "return isRiddle(readStat(pid), bytes.length) ? null : undefined;",
            replace: "return void isRiddle(readStat(pid), bytes.length);",
          },
        ],
      },
    ],
    caughtBy: { test: "test/worker/process/escape.test.ts" },
  },
  {
    name: "look at those alone who were there when the look began",
    rule: 25,
    breaks: "who forks and ends is never found, and its child goes on after the end of the attempt was told",
    changes: [
      {
        file: "worker/process/visit.ts",
        edits: [
          {
            find: "if (again.length + further.length === 0) return",
            replace: "if (again.length + further.length >= 0) return",
          },
        ],
      },
    ],
    caughtBy: { test: "test/worker/process/look.test.ts" },
  },
  {
    name: "take the end of a first thread for that of its process",
    rule: 25,
    breaks: "a process whose first thread has ended goes on with the others after the end of its attempt was told",
    changes: [
      {
        file: "worker/process/proc.ts",
        edits: [{ find: "(!isOver(stat) || livingThread(stat) !== undefined)", replace: "!isOver(stat)" }],
      },
    ],
    caughtBy: { test: "test/worker/process/look.test.ts" },
  },
  {
    name: "watch over a pid alone",
    rule: 25,
    breaks: "the watchdog ends a stranger's processes when the deadline of an attempt passes that is long gone",
    changes: [{ file: "worker/process/watchdog.sh", edits: [{ find: '[ "${20}" = "$ticks" ] && ', replace: "" }] }],
    caughtBy: { test: "test/worker/process/strangers.test.ts" },
  },
  {
    name: "free output that is on its way",
    rule: "promise 4",
    breaks: "output that is lost on the wire is not on the disk any more",
    changes: [
      {
        file: "worker/logs/stream.ts",
        edits: [
          {
            find: "Math.min(Math.max(stream.acked, stream.floor), stream.cap) - stream.freed",
            replace: "Math.min(Math.max(stream.sent, stream.floor), stream.cap) - stream.freed",
          },
        ],
      },
    ],
    caughtBy: { test: "test/worker/logs/stream.test.ts" },
  },
  {
    name: "answer before it is written down beside an ack",
    rule: 12,
    breaks: "the number of a report that was told is given to another one, and an end is passed over",
    changes: [
      {
        file: "worker/agent/turn.ts",
        edits: [{ find: " && turn.touched.size === 0 && turn.reports.length === 0;", replace: " && turn.touched.size === 0;" }],
      },
    ],
    caughtBy: { test: "test/worker/agent/reports.test.ts" },
  },
];
