import type { PlantedBug } from "../planted.ts";

/** In what a leader makes of what it hears, of whom, and since when. */
export const heardBugs: readonly PlantedBug[] = [
  {
    name: "hear a successor by the clock of the life before",
    rule: 1,
    breaks: "a host that was rebooted, and so begins its boot clock anew, is not heard, and is lost while it speaks",
    changes: [{ file: "manager/control/fleet/hello.ts", edits: [{ find: "    worker.mono = null;\n", replace: "" }] }],
  },
  {
    name: "take a successor's first connection for one that is gone",
    rule: 13,
    breaks: "a worker whose agent was restarted stays unreachable while it beats",
    changes: [{ file: "manager/control/fleet/hello.ts", edits: [{ find: "    worker.goneConnection = 0;\n", replace: "" }] }],
  },
  {
    name: "send again what is no fresher than its proof",
    rule: 7,
    breaks: "a start that was sent again is proven never to have run while that copy is fresh",
    changes: [
      {
        file: "manager/control/runs/attempts.ts",
        edits: [
          {
            find: "      sendStart(turn, attempt, run.version);\n    else",
            replace: "      send(turn, attempt.worker, startItemOf(turn.state, attempt, run.version));\n    else",
          },
        ],
      },
    ],
  },
  {
    name: "prove by an inventory while the start is still fresh",
    rule: 7,
    breaks: "an inventory that was taken before the start came proves that it never ran, and then it is obeyed",
    changes: [
      {
        file: "manager/control/runs/attempts.ts",
        edits: [{ find: "(attempt.worker.mono ?? 0) + state.settings.startTtlMs);", replace: "(attempt.worker.mono ?? 0));" }],
      },
    ],
  },
  {
    name: "take reports of an epoch that has not said hello",
    rule: 13,
    breaks: "what a leader echoes and applies is of an agent that it has not let in",
    changes: [
      {
        file: "manager/control/runs/reports.ts",
        edits: [{ find: "    worker.row.epoch !== message.epoch ||\n    worker.row.state", replace: "    worker.row.state" }],
      },
    ],
  },
  {
    name: "apply again what comes again",
    rule: 12,
    breaks: "a report that was repeated is applied anew, and the ack falls behind what was dropped",
    changes: [
      {
        file: "manager/control/runs/reports.ts",
        edits: [{ find: "    if (item.seq <= applied) {", replace: "    if (item.seq < 0) {" }],
      },
    ],
  },
  {
    name: "let an attempt go back",
    rule: 22,
    breaks: "a late word on an attempt takes it back to where it was, and its run with it",
    changes: [
      {
        file: "manager/control/runs/progress.ts",
        edits: [{ find: "const forward = order[to] > order[row.state];", replace: "const forward = to !== row.state;" }],
      },
    ],
  },
  {
    name: "call an unreadable end a success",
    rule: 19,
    breaks: "a run whose end nobody could read is called succeeded",
    changes: [
      {
        file: "manager/control/runs/reports.ts",
        edits: [
          { find: '{ how: "lost", why: boundedSentence(`unreadable end: ${why}`) }', replace: '{ how: "exited", code: 0 }' },
        ],
      },
    ],
  },
  {
    name: "see only those that fall silent in the same moment",
    rule: 11,
    breaks: "a fleet that goes within a beat or two passes for workers that died one by one",
    changes: [
      {
        file: "manager/control/fleet/brake.ts",
        edits: [
          {
            find: "const windowMs = withinBeats * state.settings.heartbeatMs;",
            replace: "const windowMs = (withinBeats * state.settings.heartbeatMs) / 10;",
          },
        ],
      },
    ],
  },
  {
    name: "count silence from before its own absence",
    rule: 10,
    breaks: "a leader that stood still declares workers lost that it could not hear",
    changes: [
      {
        file: "manager/control/state.ts",
        edits: [{ find: "return Math.max(worker.heardMono, state.presentSinceMono);", replace: "return worker.heardMono;" }],
      },
    ],
  },
  {
    name: "echo nothing to whom is silent with a fence",
    rule: 8,
    breaks: "a host that is heard all the time stops its attempts, because nobody tells it so",
    changes: [
      {
        file: "manager/control/fleet/liveness.ts",
        edits: [{ find: "  if (needsEcho(turn, worker)) echo(turn, worker, message.epoch);\n", replace: "" }],
      },
    ],
  },
  {
    name: "echo a real instant to a stranger",
    rule: 5,
    breaks: "an epoch that the leader has not let in keeps its fences alive and finds starts fresh",
    changes: [
      {
        file: "manager/control/fleet/ask.ts",
        edits: [{ find: "return { epoch, mono: 0 };", replace: "return { epoch, mono: 1e15 };" }],
      },
    ],
  },
  {
    name: "take the last will of an earlier life for the present one's",
    rule: 1,
    breaks: "a worker whose agent was restarted is unreachable while it beats, until it connects anew",
    changes: [
      {
        file: "manager/control/fleet/liveness.ts",
        edits: [
          {
            find: "if (!worker || worker.row.epoch !== ep || cn < worker.row.connection) {",
            replace: "if (!worker || cn < worker.row.connection) {",
          },
        ],
      },
    ],
    caughtBy: { test: "test/manager/control/strays.test.ts" },
  },
  {
    name: "take any news for the answer to a stop",
    rule: "I9",
    breaks: "a stop that was lost on the wire is never said again once its worker has told anything else",
    changes: [
      {
        file: "manager/control/runs/progress.ts",
        edits: [
          {
            find: "if (!attempt.orphan && attempt.run.row.stop === null) armAttempt",
            replace: "armAttempt",
          },
        ],
      },
    ],
    caughtBy: { test: "test/manager/control/strays.test.ts" },
  },
];
