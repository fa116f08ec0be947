import type { PlantedBug } from "../planted.ts";

/** In the manager's core: identity, proof, loss, liveness. */
export const leaderBugs: readonly PlantedBug[] = [
  {
    name: "take silence for proof",
    rule: 7,
    breaks: "an attempt that nobody answered for is placed again while it runs",
    changes: [
      {
        file: "manager/control/runs/attempts.ts",
        edits: [
          { find: 'import { aboutAttempt } from "./ends.ts";', replace: 'import { aboutAttempt, endAttempt } from "./ends.ts";' },
          {
            find: 'else send(turn, worker, { kind: "ask", attempts: [attempt.row.id], hello: true });',
            replace: 'else return endAttempt(turn, attempt, { how: "refused", why: "silence" }, { reported: false });',
          },
        ],
      },
    ],
  },
  {
    name: "take any inventory without it for proof",
    rule: 7,
    breaks: "a start that is still fresh is placed again, and both are obeyed",
    changes: [
      {
        file: "manager/control/runs/inventory.ts",
        edits: [{ find: "message.mono >= attempt.provableMono && ", replace: "" }],
      },
    ],
  },
  {
    name: "take an inventory that obeys an earlier leader for proof",
    rule: 7,
    breaks: "what an earlier leader sent is placed again while its start is still on its way",
    changes: [
      {
        file: "manager/control/runs/inventory.ts",
        edits: [{ find: " && (!attempt.inherited || obeysUs(turn, message))", replace: "" }],
      },
    ],
  },
  {
    name: "trust an inventory taken before what is known",
    rule: 7,
    breaks: "an attempt that runs is lost because an older snapshot does not list it",
    changes: [
      {
        file: "manager/control/runs/inventory.ts",
        edits: [{ find: "} else if (!mayBeOlder(turn, attempt, message)) {", replace: "} else {" }],
      },
    ],
  },
  {
    name: "let any other epoch in",
    rule: 1,
    breaks: "a second host with the same id takes the place of the first, whose runs are lost or doubled",
    changes: [
      {
        file: "manager/control/fleet/hello.ts",
        edits: [
          {
            find: 'if (row.state !== "lost" && row.state !== "removed" && row.state !== "neverSeen") return refusals.duplicate;',
            replace: "",
          },
        ],
      },
    ],
  },
  {
    name: "let a restored copy in",
    rule: 1,
    breaks: "a worker whose journal was taken back starts again what it has forgotten, and its reports are passed over",
    changes: [
      {
        file: "manager/control/fleet/hello.ts",
        edits: [
          {
            find: "return isCopy(turn, worker, message, other.journal) ? refusals.copy : undefined;",
            replace: "return undefined;",
          },
        ],
      },
    ],
  },
  {
    name: "forget the wait for the fence",
    rule: 8,
    breaks: "another attempt begins while the host that was lost has not stopped the first",
    changes: [
      {
        file: "manager/control/runs/loss.ts",
        edits: [
          {
            find: 'if (definition?.onLost !== "retry" || definition.attemptOverlap === "allow") return 0;',
            replace: "return 0;",
          },
        ],
      },
    ],
    caughtBy: { scene: "fence" },
  },
  {
    name: "count the wait for the fence from before the last beat",
    rule: 8,
    breaks: "a lost worker that beats again has its fence moved by the echo, and another attempt begins before it passes",
    changes: [
      { file: "manager/control/runs/loss.ts", edits: [{ find: "if (dueMono > now.mono) {", replace: "if (dueMono < 0) {" }] },
    ],
    caughtBy: { test: "test/manager/control/loss.test.ts" },
  },
  {
    name: "forget its own absence",
    rule: 10,
    breaks: "a leader that stood still declares workers lost that had spoken meanwhile",
    changes: [
      {
        file: "manager/control/tick.ts",
        edits: [
          {
            find: "if (now.mono - state.lastStepMono > absentIntervals * state.options.timing.heartbeatMs) state.presentSinceMono = now.mono;",
            replace: "",
          },
        ],
      },
    ],
    caughtBy: { test: "test/manager/control/loss.test.ts" },
  },
  {
    name: "no brake",
    rule: 11,
    breaks: "a cut of the wire loses the whole fleet's runs at once",
    changes: [
      {
        file: "manager/control/fleet/brake.ts",
        edits: [{ find: "return gone > Math.max(leastGone, partGone * (state.reachable + gone));", replace: "return false;" }],
      },
    ],
  },
  {
    name: "take over the earlier leader's clock",
    rule: 18,
    breaks: "a new leader declares workers lost that it never listened to",
    changes: [
      {
        file: "manager/control/create.ts",
        edits: [
          {
            find: "const worker = makeWorker(state, row, now.mono);",
            replace: "const worker = makeWorker(state, row, now.mono - (now.wall - (row.lastSeenAt ?? now.wall)));",
          },
          { find: "presentSinceMono: now.mono,", replace: "presentSinceMono: Number.NEGATIVE_INFINITY," },
        ],
      },
    ],
  },
  {
    name: "declare lost at once after a takeover",
    rule: 18,
    breaks: "a new leader declares silent workers lost without a loss period of its own",
    changes: [
      {
        file: "manager/control/create.ts",
        edits: [
          {
            find: "const worker = makeWorker(state, row, now.mono);",
            replace: "const worker = makeWorker(state, row, Number.NEGATIVE_INFINITY);",
          },
          { find: "presentSinceMono: now.mono,", replace: "presentSinceMono: Number.NEGATIVE_INFINITY," },
        ],
      },
    ],
  },
  {
    name: "apply reports over a gap",
    rule: 12,
    breaks: "a report that was lost is taken for applied, and its end never comes",
    changes: [
      {
        file: "manager/control/runs/reports.ts",
        edits: [{ find: "if (item.seq > applied + 1) {", replace: "if (item.seq < 0) {" }],
      },
    ],
  },
  {
    name: "do not store what was applied",
    rule: 12,
    breaks: "the next leader knows nothing of what was acknowledged: it asks for reports that the worker has dropped",
    changes: [
      {
        file: "manager/control/runs/reports.ts",
        edits: [
          {
            find: 'else turn.changes.push({ op: "updateJournal", workerId: worker.row.id, journal, applied });',
            replace: "",
          },
        ],
      },
    ],
  },
  {
    name: "do not ask for a hello that is lacking",
    rule: 13,
    breaks: "a leader that was away while the broker was up never learns what its workers have",
    changes: [
      {
        file: "manager/control/fleet/ask.ts",
        edits: [{ find: 'send(turn, worker, { kind: "ask", hello: true });', replace: "" }],
      },
    ],
  },
  {
    name: "say a stop once",
    rule: 13,
    breaks: "a stop that is lost is never said again, and what it was for goes on",
    changes: [
      {
        file: "manager/control/runs/attempts.ts",
        edits: [{ find: "if (stopping) sendStop(turn, attempt);", replace: "if (stopping) return;" }],
      },
    ],
  },
  {
    name: "end a run again by a late end",
    rule: 22,
    breaks: "a run that was decided changes when the end of a superseded attempt arrives",
    changes: [
      {
        file: "manager/control/runs/ends.ts",
        edits: [
          {
            find: '  if (attempt.orphan) {\n    emit(turn, "lateEnd", { ...aboutAttempt(attempt), data: { end } });\n    return;\n  }\n',
            replace: "",
          },
        ],
      },
    ],
  },
  {
    name: "drop the key that made a run",
    rule: 20,
    breaks: "a start that is repeated with its Idempotency-Key in the same batch makes a second run",
    changes: [
      {
        file: "manager/control/requests/starts.ts",
        edits: [
          {
            find: "const used = key === null ? null : recall(turn.state.keys, keyKey(taskId, key));",
            replace: "const used = null as KeyRecord | null;",
          },
        ],
      },
    ],
  },
];
