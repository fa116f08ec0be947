import type { PlantedBug } from "../planted.ts";

/** In the worker's core and shell. */
export const agentBugs: readonly PlantedBug[] = [
  {
    name: "forget the ledger at the ack",
    rule: 3,
    breaks: "a late copy of a start is obeyed again",
    changes: [
      {
        file: "worker/agent/acks.ts",
        edits: [{ find: "ended.ackedMono = turn.now.mono;", replace: "state.ended.delete(report.attempt);" }],
      },
    ],
  },
  {
    name: "obey a start that is known",
    rule: 3,
    breaks: "a start that comes again is started again",
    changes: [
      {
        file: "worker/agent/starts.ts",
        edits: [
          {
            find: "  if (known) {\n    answer(turn, known);",
            replace: '  if (known && known.state !== "ended") {\n    answer(turn, known);',
          },
        ],
      },
    ],
  },
  {
    name: "forget a stop of an unknown attempt",
    rule: 4,
    breaks: "a start that comes after its stop is obeyed",
    changes: [
      {
        file: "worker/agent/stops.ts",
        edits: [
          {
            find: '  recordEnd(turn, liveAttempt(newEntry(turn, item.attempt, null)), { how: "stopped", by: item.by });\n',
            replace: "",
          },
        ],
      },
    ],
    caughtBy: { scene: "stop" },
  },
  {
    name: "answer a stop of an unknown attempt without noting it",
    rule: 4,
    breaks: "the manager takes it for stopped, and the start that comes later is obeyed",
    changes: [
      {
        file: "worker/agent/stops.ts",
        edits: [
          {
            find: '  recordEnd(turn, liveAttempt(newEntry(turn, item.attempt, null)), { how: "stopped", by: item.by });\n',
            replace:
              '  recordEnd(turn, liveAttempt(newEntry(turn, item.attempt, null)), { how: "stopped", by: item.by });\n  state.ended.delete(item.attempt);\n  turn.touched.delete(item.attempt);\n',
          },
        ],
      },
    ],
    caughtBy: { scene: "stop" },
  },
  {
    name: "pass over gaps",
    rule: 6,
    breaks: "after a suspend a start is obeyed that was confirmed before it",
    changes: [{ file: "worker/agent/freshness.ts", edits: [{ find: "  state.gapMono = now.mono;\n", replace: "" }] }],
  },
  {
    name: "obey starts of any age",
    rule: 6,
    breaks: "a start that was on its way for minutes is obeyed, when its run may have gone elsewhere",
    changes: [{ file: "worker/agent/freshness.ts", edits: [{ find: "ageMs < start.ttlMs && ", replace: "" }] }],
  },
  {
    name: "look at freshness only when a start is accepted",
    rule: 6,
    breaks: "a start that waited for room is launched when it is long proven never to have run",
    changes: [
      {
        file: "worker/agent/launch.ts",
        edits: [
          {
            find: "if (mayStart(state, now.mono, attempt)) launch(turn, attempt);\n    else refuseStale(turn, attempt);",
            replace: "launch(turn, attempt);",
          },
        ],
      },
      {
        file: "worker/agent/deadlines.ts",
        edits: [
          { find: "return attempt.order === null ? null : attempt.freshFromMono + attempt.ttlMs;", replace: "return null;" },
        ],
      },
      {
        file: "worker/act.ts",
        edits: [{ find: "if (deps.monoMs() >= action.freshUntilMono) {", replace: "if (deps.monoMs() < 0) {" }],
      },
    ],
  },
  {
    name: "obey what was said to an earlier life",
    rule: 2,
    breaks: "a restarted agent launches what is bound to the life before it",
    changes: [
      {
        file: "worker/agent/commands.ts",
        edits: [{ find: "if (message.asOf.epoch !== state.options.epoch) {", replace: 'if (message.asOf.epoch === "") {' }],
      },
    ],
    caughtBy: { test: "test/worker/agent/commands.test.ts" },
  },
  {
    name: "never stop by the fence",
    rule: 8,
    breaks: "a host that nobody speaks to goes on, and another attempt begins beside it",
    changes: [
      {
        file: "worker/agent/fence.ts",
        edits: [
          {
            find: 'if (order?.onLost !== "retry" || order.lostAfterSeconds === undefined || state.asOfMono === null) return null;',
            replace: "return null;",
          },
          { find: "  return state.asOfMono + order.lostAfterSeconds * 1_000;\n", replace: "" },
        ],
      },
    ],
    caughtBy: { scene: "fence" },
  },
  {
    name: "number reports anew at each agent start",
    rule: 12,
    breaks: "what was applied is taken for applied again, and ends are lost",
    changes: [{ file: "worker/agent/agent.ts", edits: [{ find: "nextSeq: meta.nextSeq,", replace: "nextSeq: 1," }] }],
  },
  {
    name: "take an ack for the journal before",
    rule: 12,
    breaks: "reports are dropped that nobody has applied",
    changes: [
      {
        file: "worker/agent/acks.ts",
        edits: [{ find: "if (ack.journal !== state.journal) {", replace: 'if (ack.journal === "") {' }],
      },
    ],
    caughtBy: { test: "test/worker/agent/reports.test.ts" },
  },
  {
    name: "send reports once",
    rule: 13,
    breaks: "an end that is lost on the wire never arrives while the connection holds",
    changes: [
      {
        file: "worker/agent/queue.ts",
        edits: [
          {
            find: "if (queue.resendMono === null || queue.resendMono > turn.now.mono) return;",
            replace: "if (queue.first >= 0) return;",
          },
        ],
      },
    ],
  },
  {
    name: "say hello once",
    rule: 13,
    breaks: "a hello that is lost leaves the worker unknown while it is connected",
    changes: [
      {
        file: "worker/agent/hello.ts",
        edits: [
          {
            find: "if (link.connected && link.helloMono !== null && link.helloMono <= turn.now.mono) turn.hello = true;",
            replace: "if (link.hellos > 1_000) turn.hello = true;",
          },
        ],
      },
    ],
    caughtBy: { test: "test/worker/agent/hello.test.ts" },
  },
  {
    name: "take a sync for the word on everything",
    rule: 14,
    breaks: "what was accepted after the hello is stopped, and nobody asked for it",
    changes: [
      {
        file: "worker/agent/hello.ts",
        edits: [
          {
            find: "for (const id of item.stop ?? []) {",
            replace: "for (const id of [...state.live.keys()].filter((one) => !item.keep?.includes(one))) {",
          },
        ],
      },
    ],
  },
  {
    name: "obey lower terms",
    rule: 15,
    breaks: "a leader that was deposed stops and starts what is not its own any more",
    changes: [
      {
        file: "worker/agent/commands.ts",
        edits: [{ find: "if (message.term < state.highestTerm) {", replace: "if (message.term < 0) {" }],
      },
    ],
    caughtBy: { scene: "late" },
  },
  {
    name: "forget the highest term at a restart",
    rule: 15,
    breaks: "a restarted agent obeys a leader that was deposed before",
    changes: [{ file: "worker/agent/agent.ts", edits: [{ find: "highestTerm: meta.highestTerm,", replace: "highestTerm: 0," }] }],
    caughtBy: { test: "test/worker/agent/commands.test.ts" },
  },
  {
    name: "launch before it is written down",
    rule: 23,
    breaks: "an agent that dies in between does not know what it launched",
    changes: [
      {
        file: "worker/write-first.ts",
        edits: [
          {
            find: "      if (due || writes.length >= journalLimits.waitingWrites) flush();\n      else act();\n",
            replace: "      act();\n      if (due || writes.length >= journalLimits.waitingWrites) flush();\n",
          },
        ],
      },
    ],
  },
  {
    name: "act on what can be written later",
    rule: 23,
    breaks: "what an agent launched, or told, is not in its journal when it dies",
    changes: [
      {
        file: "worker/agent/turn.ts",
        edits: [
          {
            find: "const canWait = turn.acked && !turn.termRaised && !turn.unheard && turn.touched.size === 0 && turn.reports.length === 0;",
            replace: "const canWait = turn.reports.length === 0;",
          },
        ],
      },
    ],
  },
  {
    name: "say of a reboot that it never ran",
    rule: 23,
    breaks: "what ran when the host went down is placed again and runs a second time",
    changes: [
      {
        file: "worker/agent/recover.ts",
        edits: [{ find: 'endAttempt(turn, attempt, { how: "lost", why: "reboot" });', replace: "refuseOld(turn, attempt);" }],
      },
    ],
  },
  {
    name: "launch again what an earlier agent accepted",
    rule: 2,
    breaks: "an accepted start of an earlier life stays live for ever, and its run with it",
    changes: [
      {
        file: "worker/agent/recover.ts",
        edits: [
          {
            find: 'if (attempt.entry.state === "accepted") refuseOld(turn, attempt);\n    else recoverOne',
            replace: 'if (attempt.entry.state !== "accepted") recoverOne',
          },
        ],
      },
    ],
    caughtBy: { test: "test/worker/agent/recover.test.ts" },
  },
];
