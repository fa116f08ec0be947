import type { PlantedBug } from "../planted.ts";

/** In what a new leader makes of the rows that it finds. */
export const takeoverBugs: readonly PlantedBug[] = [
  {
    name: "take over as if it had sent it itself",
    rule: 7,
    breaks: "a new leader takes silence about a start of the leader before for proof, by an echo that it does not know",
    changes: [
      {
        file: "manager/control/create.ts",
        edits: [
          {
            find: "const attempt = makeAttempt(row, run, worker, nowMono, true);",
            replace: "const attempt = makeAttempt(row, run, worker, nowMono, false);",
          },
        ],
      },
    ],
  },
  {
    name: "never look at a worker that was taken over",
    rule: 18,
    breaks: "a worker that is dead when the lead changes is online for ever, and its runs with it",
    changes: [
      {
        file: "manager/control/create.ts",
        edits: [
          {
            find: "    refreshWorker(state, worker);\n    watch(state, worker);\n",
            replace: "    refreshWorker(state, worker);\n",
          },
        ],
      },
    ],
  },
  {
    name: "begin anew with what a journal has applied",
    rule: 12,
    breaks: "a new leader waits for reports that the worker has dropped, and ends never arrive",
    changes: [
      {
        file: "manager/control/create.ts",
        edits: [
          {
            find: "state.journals.set(journalKey(workerId, journal), applied);",
            replace: "state.journals.set(journalKey(workerId, journal), 0);",
          },
        ],
      },
    ],
  },
  {
    name: "forget at a takeover what goes on although its run has ended",
    rule: 22,
    breaks: "the attempt of a run that was given up is never stopped and its end never written",
    changes: [
      {
        file: "manager/control/create.ts",
        edits: [
          {
            find: "  for (const attempt of live.orphans) takeOverAttempt(state, attempt, makeRun(endedRunOf(attempt), null), now.mono).orphan = true;\n",
            replace: "",
          },
        ],
      },
    ],
  },
  {
    name: "take the oldest attempt for the run's",
    rule: 22,
    breaks: "a new leader goes by an attempt that was superseded, and the run stays as it is",
    changes: [
      {
        file: "manager/control/create.ts",
        edits: [{ find: "(a && a.number > b.number ? a : b)", replace: "(a && a.number < b.number ? a : b)" }],
      },
    ],
  },
  {
    name: "take over attempts without the room that they take",
    rule: "I14",
    breaks: "a new leader fills workers beyond their slots",
    changes: [
      {
        file: "manager/control/runs/adopt.ts",
        edits: [{ find: "      take(state, attempt.worker, attempt.requires);\n", replace: "" }],
      },
    ],
  },
];
