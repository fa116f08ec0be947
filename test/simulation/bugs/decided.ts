import type { PlantedBug } from "../planted.ts";

/** In what a leader decides of runs: by whose word they begin, end, and begin again. */
export const decidedBugs: readonly PlantedBug[] = [
  {
    name: "look a minted key up nowhere",
    rule: 20,
    breaks: "a start that is repeated with the key of an unknown outcome is refused, though its run was made",
    changes: [
      {
        file: "manager/control/requests/starts.ts",
        edits: [
          {
            find: "const run = item.mayExist ? knownRun(turn.state, item.runId) : null;",
            replace: "const run = null as RunRecord | null;",
          },
        ],
      },
    ],
  },
  {
    name: "rerun whatever the key",
    rule: 20,
    breaks: "a rerun that is repeated with its Idempotency-Key makes a second run",
    changes: [
      {
        file: "manager/control/requests/starts.ts",
        edits: [
          {
            find: "  const earlier = earlierRun(turn, of.taskId, request.idempotencyKey, request.bodyHash);\n  if (earlier) return earlier;\n",
            replace: "",
          },
        ],
      },
    ],
  },
  {
    name: "stop what has ended",
    rule: 22,
    breaks: "a run that was decided is changed by a stop that comes later",
    changes: [
      {
        file: "manager/control/requests/stops.ts",
        edits: [{ find: "  if (isTerminal(known.state)) {\n", replace: '  if (known.state === "succeeded") {\n' }],
      },
    ],
  },
  {
    name: "forget a stop when the start is refused",
    rule: "I9",
    breaks: "a run that is to be stopped is placed again because its worker had refused it",
    changes: [
      {
        file: "manager/control/runs/ends.ts",
        edits: [{ find: "  if (run.row.stop) {\n    endRun", replace: "  if (run.row.stop && turn.now.mono < 0) {\n    endRun" }],
      },
    ],
  },
  {
    name: "try again after a loss what is to be stopped",
    rule: "I9",
    breaks: "a run that is to be stopped begins another attempt when its worker is lost",
    changes: [
      {
        file: "manager/control/runs/retry.ts",
        edits: [
          { find: "return !run.row.stop && run.version?.definition.onLost", replace: "return run.version?.definition.onLost" },
        ],
      },
    ],
  },
  {
    name: "forget the stop of what is heard again",
    rule: "I9",
    breaks: "a run that is to be stopped is shown as running when its worker comes back",
    changes: [
      { file: "manager/control/runs/runs.ts", edits: [{ find: '  if (run.row.stop) return "stopping";\n', replace: "" }] },
    ],
  },
  {
    name: "place at once what a worker came back without",
    rule: 8,
    breaks: "an attempt that nobody can say has ended goes on beside the next one",
    changes: [
      {
        file: "manager/control/runs/loss.ts",
        edits: [{ find: "loseRun(turn, run, end, {}, fenceWaitMs(turn.state, run));", replace: "loseRun(turn, run, end, {});" }],
      },
    ],
  },
  {
    name: "call the fence's stop somebody's",
    rule: 8,
    breaks: "a run that asked to be tried again is stopped for good, and nobody had asked for that",
    changes: [
      {
        file: "manager/control/runs/ends.ts",
        edits: [
          { find: "if (end.by === stoppedByFence && retriesLoss(run))", replace: 'if (end.by === "" && retriesLoss(run))' },
        ],
      },
    ],
  },
  {
    name: "give room back twice",
    rule: "I14",
    breaks: "the leader believes in slots that the worker does not have, and its starts are refused",
    changes: [
      {
        file: "manager/control/queue/capacity.ts",
        edits: [{ find: "  worker.used.slots -= requires.slots;\n", replace: "  worker.used.slots -= 2 * requires.slots;\n" }],
      },
    ],
  },
  {
    name: "stop at the last page but one of the queue",
    rule: "promise 7",
    breaks: "runs beyond the queue's window are never read",
    changes: [
      {
        file: "manager/control/queue/window.ts",
        edits: [
          { find: "const isLast = rows.length < queue.pageLimit;", replace: "const isLast = rows.length <= queue.pageLimit;" },
        ],
      },
    ],
  },
];
