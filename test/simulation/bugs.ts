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
        replace: "  deps.letOut(turn);\n  const end = await deps.commit(turn);\n",
      },
      { find: '  if (end === "applied") deps.letOut(turn);\n', replace: "" },
    ],
  },
  {
    name: "pass over gaps",
    breaks: "rule 6: after a suspend a start is obeyed that was confirmed before it",
    file: "worker/agent/freshness.ts",
    edits: [{ find: "  state.gapMono = now.mono;\n", replace: "" }],
  },
  {
    name: "number reports anew at each agent start",
    breaks: "rule 12: what was applied is taken for applied again, and ends are lost",
    file: "worker/agent/agent.ts",
    edits: [{ find: "nextSeq: meta.nextSeq,", replace: "nextSeq: 1," }],
  },
  {
    name: "take a sync for the word on everything",
    breaks: "rule 14: what was accepted after the hello is stopped, and nobody asked for it",
    file: "worker/agent/hello.ts",
    edits: [
      {
        find: "for (const id of item.stop ?? []) {",
        replace: "for (const id of [...state.live.keys()].filter((one) => !item.keep?.includes(one))) {",
      },
    ],
  },
  {
    name: "forget a stop of an unknown attempt",
    breaks: "rule 4: a start that comes after its stop is obeyed",
    file: "worker/agent/stops.ts",
    edits: [
      {
        find: '  recordEnd(turn, liveAttempt(newEntry(turn, item.attempt, null)), { how: "stopped", by: item.by });\n',
        replace: "",
      },
    ],
  },
  {
    name: "drain in name only",
    breaks: "a drained worker takes new starts",
    file: "worker/agent/starts.ts",
    edits: [{ find: '  if (state.draining) return "draining: the worker takes no new starts";\n', replace: "" }],
  },
  {
    name: "launch beyond the slots",
    breaks: "more runs on a host than it has room for",
    file: "worker/agent/slots.ts",
    edits: [
      { find: "couldFit(minus(state.options.capacity, state.used), needs)", replace: "couldFit(state.options.capacity, needs)" },
    ],
  },
  {
    name: "pass over a failed exec that is told of second",
    breaks: "promise 7: an attempt whose program could not be executed is live for ever",
    file: "worker/agent/launch.ts",
    edits: [{ find: '(attempt.entry.process !== null && input.how === "refused")', replace: "attempt.entry.process !== null" }],
  },
  {
    name: "believe the exit code of what was ended",
    breaks: "promise 3: a timeout and a stop pass for failures of the program",
    file: "worker/agent/ends.ts",
    edits: [{ find: "if (gone.termBefore && entry.timedOut)", replace: "if (gone.termBefore && entry.timedOut && gone.fenced)" }],
  },
];
