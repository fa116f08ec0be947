import type { PlantedBug } from "../planted.ts";

/** Three places where a deposed leader is told no. Without any one of them an exploration finds the double start. */
export const withoutTerms: readonly (PlantedBug & { readonly scene: string })[] = [
  {
    name: "nobody looks at what the term check said",
    scene: "turn",
    rule: 17,
    breaks: "a leader whose commit was refused sends the start all the same",
    changes: [{ file: "manager/engine/turn.ts", edits: [{ find: '  if (end !== "applied") return end;\n', replace: "" }] }],
  },
  {
    name: "the store does not check the term",
    scene: "turn",
    rule: 17,
    breaks: "a deposed leader's commit is done",
    changes: [
      {
        file: "manager/store/memory.ts",
        edits: [
          {
            find: 'if (!lease || lease.term !== batch.term || lease.batch !== batch.batch - 1) return "deposed";',
            replace: 'if (!lease) return "deposed";',
          },
        ],
      },
      // Two numbers stand in its way all the same, that of the event and that of the attempt: they go too.
      {
        file: "manager/store/memory-tables.ts",
        edits: [
          {
            find: 'return add(within(tables.events, change.row.pool), change.row.number, change.row, "event", undos);',
            replace: "within(tables.events, change.row.pool).set(change.row.number, change.row);\n      return;",
          },
          {
            find: 'return add(within(tables.attemptsOfRun, change.row.runId), change.row.number, change.row.id, "attempt\'s number", undos);',
            replace: "within(tables.attemptsOfRun, change.row.runId).set(change.row.number, change.row.id);\n      return;",
          },
        ],
      },
    ],
  },
  {
    name: "the worker does not check the term",
    scene: "late",
    rule: 15,
    breaks: "a start of an earlier leader is obeyed after the present one was told that it never came",
    changes: [
      {
        file: "worker/agent/commands.ts",
        edits: [{ find: "if (message.term < state.highestTerm) {", replace: "if (message.term < 0) {" }],
      },
    ],
  },
];

/** What they all lead to. */
export const doubleStart = /twice/;
