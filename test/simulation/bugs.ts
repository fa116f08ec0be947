import type { PlantedBug } from "./planted.ts";

/** Bugs that the simulation must find: each takes one rule out of the product. */
export const bugs: readonly PlantedBug[] = [
  {
    name: "forget the ledger at the ack",
    breaks: "rule 3: a late copy of a start is obeyed again",
    file: "worker/agent/acks.ts",
    edits: [{ find: "ended.ackedMono = turn.now.mono;", replace: "state.ended.delete(report.attempt);" }],
  },
  {
    name: "take silence for proof",
    breaks: "rule 7: an attempt that nobody answered for is placed again while it runs",
    file: "manager/control/attempts.ts",
    edits: [
      { find: 'import { aboutAttempt } from "./ends.ts";', replace: 'import { aboutAttempt, endAttempt } from "./ends.ts";' },
      {
        find: 'else send(turn, worker, { kind: "ask", attempts: [attempt.row.id], hello: true });',
        replace: 'else return endAttempt(turn, attempt, { how: "refused", why: "silence" }, { reported: false });',
      },
    ],
  },
  {
    name: "acknowledge before commit",
    breaks: "promise 1: what was answered or acknowledged is lost when the manager dies",
    file: "manager/engine/turn.ts",
    edits: [
      {
        find: "  const end = await deps.commit(turn);\n",
        replace: "  deps.letOut(turn.steps);\n  const end = await deps.commit(turn);\n",
      },
      { find: '  if (end === "applied") deps.letOut(turn.steps);\n', replace: "" },
    ],
  },
];
