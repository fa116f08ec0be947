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
];
