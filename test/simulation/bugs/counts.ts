import type { PlantedBug } from "../planted.ts";

/** In what is counted, kept and listed: one too many, one too few, forgotten too early or never. */
export const countBugs: readonly PlantedBug[] = [
  {
    name: "acknowledge one report too many",
    rule: 12,
    breaks: "the next report is dropped before it was applied: an end that nobody ever hears of",
    changes: [
      {
        file: "manager/control/runs/reports.ts",
        edits: [
          {
            find: 'send(turn, worker, { kind: "ack", journal: message.journal, seq: applied });',
            replace: 'send(turn, worker, { kind: "ack", journal: message.journal, seq: applied + 1 });',
          },
        ],
      },
    ],
  },
  {
    name: "keep the last report that was acknowledged",
    rule: 12,
    breaks: "it is sent again for ever",
    changes: [
      { file: "worker/agent/queue.ts", edits: [{ find: "item && item.seq <= seq;", replace: "item && item.seq < seq;" }] },
    ],
  },
  {
    name: "leave unacknowledged ends out of the inventory",
    rule: 7,
    breaks: "an attempt that ended well is lost, or proven never to have run, because nobody lists it",
    changes: [
      {
        file: "worker/agent/hello.ts",
        edits: [
          {
            find: "if (entry?.endSeq === seq) items.push(itemOf(entry));",
            replace: "if (entry?.endSeq === -1) items.push(itemOf(entry));",
          },
        ],
      },
    ],
  },
  {
    name: "trust a snapshot of the same instant",
    rule: 7,
    breaks: "an attempt that was accepted in a later step of that instant is lost",
    changes: [
      {
        file: "manager/control/runs/inventory.ts",
        edits: [{ find: "message.mono <= known.mono", replace: "message.mono < known.mono" }],
      },
    ],
    caughtBy: { test: "test/manager/control/inventory.test.ts" },
  },
  {
    name: "take a lease whose batch moves",
    rule: 18,
    breaks: "a leader that works is deposed again and again",
    changes: [
      {
        file: "manager/leader.ts",
        edits: [
          {
            find: "return a?.holder === b?.holder && a?.term === b?.term && a?.batch === b?.batch && a?.beat === b?.beat;",
            replace: "return a?.holder === b?.holder && a?.term === b?.term;",
          },
        ],
      },
    ],
  },
  {
    name: "take a lease whose beat moves",
    rule: 18,
    breaks: "a leader that waits for a slow read, and proves its lease meanwhile, is deposed",
    changes: [
      {
        file: "manager/leader.ts",
        edits: [{ find: "a?.batch === b?.batch && a?.beat === b?.beat", replace: "a?.batch === b?.batch" }],
      },
    ],
  },
  {
    name: "answer without a lease check",
    rule: 15,
    breaks: "a deposed leader that has nothing to write answers as if it led",
    changes: [
      {
        file: "manager/engine/engine.ts",
        edits: [
          {
            find: "step.commands.length > 0 || step.answers.length > 0) || logAcks",
            replace: "step.commands.length > 0) || logAcks",
          },
        ],
      },
    ],
  },
  {
    name: "forget at a takeover what was sent and not answered",
    rule: 18,
    breaks: "a run whose start was on its way is nobody's",
    changes: [
      {
        file: "manager/control/create.ts",
        edits: [
          {
            find: '    if (attempt.state === "ended") continue;\n    const cell',
            replace: '    if (attempt.state === "ended" || attempt.state === "sent") continue;\n    const cell',
          },
        ],
      },
    ],
  },
  {
    name: "forget keys at once",
    rule: 20,
    breaks: "a start that is repeated with its Idempotency-Key a minute later makes a second run",
    changes: [
      {
        file: "manager/control/tick.ts",
        edits: [{ find: "before: now.wall - requestLimits.idempotencyKeptMs", replace: "before: now.wall" }],
      },
    ],
  },
  {
    name: "try again after a success",
    rule: "promise 3",
    breaks: "a run that succeeded runs a second time",
    changes: [
      {
        file: "manager/control/runs/ends.ts",
        edits: [{ find: 'if (state === "failed" && mayRetry(run, "failed"))', replace: 'if (mayRetry(run, "failed"))' }],
      },
    ],
  },
  {
    name: "try once more than the task says",
    rule: "I3",
    breaks: "a run is tried more often than its task allows",
    changes: [
      {
        file: "manager/control/runs/retry.ts",
        edits: [{ find: "run.row.tries < retry.attempts;", replace: "run.row.tries <= retry.attempts;" }],
      },
    ],
  },
  {
    name: "keep the slots of what was stopped",
    rule: "I14",
    breaks: "each stop takes a slot of its worker away until the agent starts anew",
    changes: [
      {
        file: "worker/agent/ends.ts",
        edits: [
          {
            find: 'if (entry.state !== "accepted") giveRoomBack(state, attempt);',
            replace: 'if (entry.state !== "accepted" && entry.state !== "stopping") giveRoomBack(state, attempt);',
          },
        ],
      },
    ],
  },
  {
    name: "set no timeout",
    rule: "promise 7",
    breaks: "a run goes on for as long as it likes",
    changes: [
      {
        file: "worker/agent/launch.ts",
        edits: [
          {
            find: "timeoutMono: order.timeoutSeconds === null ? null : now.mono + order.timeoutSeconds * 1_000,",
            replace: "timeoutMono: null,",
          },
        ],
      },
    ],
  },
  {
    name: "call lost what runs on after a restart",
    rule: "promise 5",
    breaks: "a process that its agent should adopt runs on, and nobody knows of it",
    changes: [
      {
        file: "worker/agent/recover.ts",
        edits: [
          {
            find: "      adopt(turn, attempt, found);\n      return;",
            replace:
              '      endAttempt(turn, attempt, { how: "lost", why: "its process was not found after the agent\'s restart" });\n      return;',
          },
        ],
      },
    ],
  },
];
