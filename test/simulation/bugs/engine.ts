import type { PlantedBug } from "../planted.ts";

/** In what surrounds the manager's core: the order of a turn, its commit, what is let out and who is told. */
export const engineBugs: readonly PlantedBug[] = [
  {
    name: "acknowledge before commit",
    rule: 20,
    breaks: "what was answered or acknowledged is lost when the manager dies",
    changes: [
      {
        file: "manager/engine/turn.ts",
        edits: [
          {
            find: "  const end = await deps.commit(turn);\n",
            replace: "  deps.letOut(turn);\n  const end = await deps.commit(turn);\n",
          },
          { find: '  reached("s13", turn.steps);\n  deps.letOut(turn);\n', replace: "" },
        ],
      },
    ],
  },
  {
    name: "speak although deposed",
    rule: 17,
    breaks: "a leader whose commit was refused publishes and answers all the same",
    changes: [{ file: "manager/engine/turn.ts", edits: [{ find: '  if (end !== "applied") return end;\n', replace: "" }] }],
  },
  {
    name: "skip the term check",
    rule: 17,
    breaks: "a deposed leader goes on writing",
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
    ],
  },
  {
    name: "check the term, but not the number of the batch",
    rule: 17,
    breaks: "a first try that lands late is written a second time, or after a later batch",
    changes: [{ file: "manager/store/memory.ts", edits: [{ find: " || lease.batch !== batch.batch - 1", replace: "" }] }],
  },
  {
    name: "say it without a lease check",
    rule: 15,
    breaks: "a leader that was deposed and does not know it goes on telling workers what to do",
    changes: [
      {
        file: "manager/engine/engine.ts",
        edits: [
          {
            find: 'if (turn.changes.length === 0 && (store.leaseIsLock || !(speaks || isStale))) return "applied";',
            replace: 'if (turn.changes.length === 0 && (store.leaseIsLock || speaks || !isStale)) return "applied";',
          },
        ],
      },
    ],
  },
  {
    name: "echo what no lease check has confirmed",
    rule: 5,
    breaks: "a deposed leader keeps fences alive and starts fresh by what it heard after it was deposed",
    changes: [
      {
        file: "manager/engine/engine.ts",
        edits: [
          {
            find: "    const taken = this.#intake.post(input, bytes, this.#deps.clock.now().mono);\n",
            replace:
              '    const heard = this.#lead.state.workers.get(input.workerId);\n    if (input.kind === "heartbeat" && heard?.row.epoch === input.message.epoch) heard.mono = Math.max(heard.mono ?? 0, input.message.mono);\n    const taken = this.#intake.post(input, bytes, this.#deps.clock.now().mono);\n',
          },
        ],
      },
      {
        file: "manager/engine/release.ts",
        edits: [
          {
            find: "for (const command of step.commands) merge(byEpoch, command);",
            replace:
              "for (const command of step.commands) {\n      const newest = asOfOf(lead.state, command.workerId);\n      merge(byEpoch, newest?.epoch === command.asOf.epoch ? { ...command, asOf: newest } : command);\n    }",
          },
        ],
      },
    ],
  },
  {
    name: "try again under a new number",
    rule: 17,
    breaks: "a batch that was done although its answer was an error is done twice",
    changes: [
      {
        file: "manager/engine/commit.ts",
        edits: [
          {
            find: "      if (!error.outcomeKnown) unknown = true;\n",
            replace:
              "      if (!error.outcomeKnown) unknown = true;\n      if (!error.outcomeKnown) batch = { ...batch, batch: batch.batch + 1 };\n",
          },
        ],
      },
    ],
  },
  {
    name: "take an unknown outcome for deposed",
    rule: 17,
    breaks: "a commit that was done is answered as if nobody knew, and the leader throws its state away at every lost answer",
    changes: [
      {
        file: "manager/engine/commit.ts",
        edits: [
          {
            find: 'return told.unknown ? await whatLanded(batch, deps) : { kind: "deposed" };',
            replace: 'return told.unknown ? { kind: "applied" } : { kind: "deposed" };',
          },
        ],
      },
    ],
  },
  {
    name: "try a permanent error for ever",
    rule: 19,
    breaks: "one row that cannot be stops the whole pool",
    changes: [
      {
        file: "manager/engine/commit.ts",
        edits: [{ find: 'if (error.kind === "permanent") return { kind: "refused", error, unknown };', replace: "" }],
      },
    ],
  },
  {
    name: "take a passing error for a permanent one",
    rule: 19,
    breaks: "a lost connection has requests and reports set aside that nothing was wrong with",
    changes: [
      {
        file: "manager/engine/commit.ts",
        edits: [
          {
            find: 'if (error.kind === "permanent") return { kind: "refused", error, unknown };',
            replace: 'return { kind: "refused", error, unknown };',
          },
        ],
      },
    ],
  },
  {
    name: "set aside the whole batch with the one that cannot be",
    rule: 19,
    breaks: "its neighbours' reports are never applied and their requests fail",
    changes: [
      {
        file: "manager/engine/salvage.ts",
        edits: [
          {
            find: "const first = await attempt(waiting, deps);",
            replace: 'const first: Tried = { kind: "failed", why: "its batch was refused" };',
          },
        ],
      },
    ],
  },
  {
    name: "set a bad report aside without its number",
    rule: 19,
    breaks: "one report that the store refuses comes again for ever, and with it everything that follows",
    changes: [
      {
        file: "manager/engine/salvage.ts",
        edits: [
          {
            find: 'if (input.kind === "reports" && item) {',
            replace: 'if (input.kind === "reports" && item && first.why === "") {',
          },
        ],
      },
    ],
  },
  {
    name: "call it not taken when nobody knows",
    rule: 20,
    breaks: "a client that is told to try again without its key makes a second run",
    changes: [
      {
        file: "manager/engine/door.ts",
        edits: [
          { find: 'problem("outcome-unknown", "the database has not', replace: 'problem("not-taken", "the database has not' },
        ],
      },
    ],
  },
  {
    name: "take a term whoever holds it",
    rule: 18,
    breaks: "the lead goes to and fro, and nothing is decided for long",
    changes: [
      {
        file: "manager/leader.ts",
        edits: [{ find: "if (nowMs - stillSinceMs >= waitMs) {", replace: "if (nowMs - stillSinceMs >= 0) {" }],
      },
    ],
  },
];
