import type { PlantedBug } from "../planted.ts";

/** Where the rule lives outside what the simulation holds: SQL, shell scripts, process files, doors. A real test catches each. */
export const elsewhereBugs: readonly (PlantedBug & { readonly caughtBy: { readonly test: string } })[] = [
  {
    name: "check the term with a SELECT",
    rule: 17,
    breaks: "a deposed leader that read the row in time writes all the same",
    changes: [
      {
        file: "manager/store/mariadb/commit-text.ts",
        edits: [
          {
            find: '    `UPDATE \\`leases\\` SET \\`batch\\` = ${number} WHERE \\`pool\\` = ${literal(pool)} AND \\`term\\` = ${numberLiteral(term)}` +\n    ` AND \\`batch\\` = ${number} - 1; IF ROW_COUNT() = 0 THEN ${raise(signals.deposed, "The lease is not ours.")} END IF; `\n',
            replace:
              '    `SELECT COUNT(*) INTO @held FROM \\`leases\\` WHERE \\`pool\\` = ${literal(pool)} AND \\`term\\` = ${numberLiteral(term)} AND \\`batch\\` = ${number} - 1; IF @held = 0` +\n    ` THEN ${raise(signals.deposed, "The lease is not ours.")} END IF; UPDATE \\`leases\\` SET \\`batch\\` = ${number} WHERE \\`pool\\` = ${literal(pool)}; `\n',
          },
        ],
      },
    ],
    caughtBy: { test: "test/manager/store/mariadb/rules-lease.test.ts" },
  },
  {
    name: "go on after an error in the batch",
    rule: 17,
    breaks: "half a batch is written",
    changes: [
      {
        file: "manager/store/mariadb/commit-text.ts",
        edits: [
          {
            find: "DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;",
            replace: "DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;",
          },
        ],
      },
    ],
    caughtBy: { test: "test/manager/store/mariadb/commit.test.ts" },
  },
  {
    name: "compare names as most tables do",
    rule: 21,
    breaks: "edge-a overwrites edge-A, and 'a ' collides with 'a'",
    changes: [
      {
        file: "manager/store/migrations/mariadb/0001_first.sql",
        edits: [{ find: "utf8mb4_nopad_bin", replace: "utf8mb4_bin", everywhere: true }],
      },
    ],
    caughtBy: { test: "test/manager/store/mariadb/contract.test.ts" },
  },
  {
    name: "let one unreadable item take its message along",
    rule: 16,
    breaks: "its neighbours come again for ever and are never applied",
    changes: [
      {
        file: "manager/link/inbox.ts",
        edits: [
          {
            find: "    if (known) unreadable.push({ ...known, ...read });\n",
            replace: '    if (known) return { kind: "unreadable", why: read.why };\n',
          },
        ],
      },
    ],
    caughtBy: { test: "test/manager/link/inbox.test.ts" },
  },
  {
    name: "read an empty exit file as 0",
    rule: 24,
    breaks: "a run whose end nobody knows is called succeeded",
    changes: [
      {
        file: "worker/process/records.ts",
        edits: [
          {
            find: "  const match = /^([A-Za-z0-9_-]+) ([0-9]{1,3}) (?:(norun) )?end\\n/.exec(text);\n",
            replace:
              '  if (text === "") return { is: "complete", code: 0, wall: record.wall };\n  const match = /^([A-Za-z0-9_-]+) ([0-9]{1,3}) (?:(norun) )?end\\n/.exec(text);\n',
          },
        ],
      },
    ],
    caughtBy: { test: "test/worker/process/records.test.ts" },
  },
  {
    name: "know a process by its pid alone",
    rule: 25,
    breaks: "a stranger that took over the number is killed",
    changes: [
      {
        file: "worker/process/records.ts",
        edits: [
          { find: "  return isAlive(stat) && stat.startTicks === started.startTicks;\n", replace: "  return isAlive(stat);\n" },
        ],
      },
    ],
    caughtBy: { test: "test/worker/process/records.test.ts" },
  },
  {
    name: "say never ran without claiming it",
    rule: 23,
    breaks: "a launch that still lies in the launcher's pipe begins after it was refused",
    changes: [
      {
        file: "worker/process/records.ts",
        edits: [
          {
            find: '    appendFileSync(`${folder}/started`, `\\n${attempt} void end\\n`, { mode: 0o600 });\n    return readStarted(folder, attempt).is === "void";\n',
            replace: "    return true;\n",
          },
        ],
      },
    ],
    caughtBy: { test: "test/worker/process/recover.test.ts" },
  },
  {
    name: "take any KillMode for one that spares the tasks",
    rule: 27,
    breaks: "the worker says that its tasks outlive it, and they do not",
    changes: [
      {
        file: "worker/survival.ts",
        edits: [
          {
            find: 'if (place.killMode === "process" || place.killMode === "none") {',
            replace: "if (place.killMode.length > 0) {",
          },
        ],
      },
    ],
    caughtBy: { test: "test/worker/facts.test.ts" },
  },
  {
    name: "start with times that do not hold together",
    rule: 11,
    breaks: "a start goes stale before its worker's second heartbeat, or is fresh when its worker is lost",
    changes: [
      {
        file: "manager/config.ts",
        edits: [{ find: "  if (startTtlMs < 3 * heartbeatMs + renewMs) {\n", replace: "  if (startTtlMs < 0) {\n" }],
      },
    ],
    caughtBy: { test: "test/schema/kit/config.test.ts" },
  },
  {
    name: "never mind a higher term",
    rule: 28,
    breaks: "a leader of a database that was taken back is obeyed by nobody, for ever",
    changes: [
      {
        file: "manager/engine/release.ts",
        edits: [{ find: "higherTerm = Math.max(higherTerm ?? 0, Number(note.detail));", replace: "higherTerm = undefined;" }],
      },
    ],
    caughtBy: { test: "test/manager/engine/engine.test.ts" },
  },
  {
    name: "never mind an ack above its own",
    rule: 28,
    breaks: "a database that was taken back waits for reports that the worker has dropped",
    changes: [
      {
        file: "manager/control/recovery/ledger.ts",
        edits: [{ find: "  if (acked > applied) {\n", replace: "  if (acked < 0) {\n" }],
      },
    ],
    caughtBy: { test: "test/manager/control/hello.test.ts" },
  },
  {
    name: "let an earlier life of the agent in",
    rule: 1,
    breaks: "a worker that was restored speaks for attempts that its successor has ended",
    changes: [
      {
        file: "manager/control/fleet/hello.ts",
        edits: [{ find: "    if (other.n < known.n) {\n", replace: "    if (other.n < 0) {\n" }],
      },
    ],
    caughtBy: { test: "test/manager/control/hello.test.ts" },
  },
  {
    name: "refuse a batch that may have landed",
    rule: 19,
    breaks: "clients are told that nothing was done of what was done",
    changes: [
      {
        file: "manager/engine/commit.ts",
        edits: [
          {
            find: '  if (!unknown) return { kind: "failed", error, numberUsed: false };\n',
            replace: '  if (error) return { kind: "failed", error, numberUsed: false };\n',
          },
        ],
      },
    ],
    caughtBy: { test: "test/manager/engine/commit.test.ts" },
  },
  {
    name: "count a refusal as a try",
    rule: 2,
    breaks: "a start that was never launched uses up the tries of its run",
    changes: [
      {
        file: "manager/control/runs/ends.ts",
        edits: [{ find: "const tries = Math.max(0, run.row.tries - 1);", replace: "const tries = run.row.tries;" }],
      },
    ],
    caughtBy: { test: "test/manager/control/hello.test.ts" },
  },
  {
    name: "send what was decided for one epoch to the next",
    rule: 2,
    breaks: "a start that is bound to an earlier life of the agent is obeyed by the next",
    changes: [
      {
        file: "manager/engine/release.ts",
        edits: [{ find: "const key = `${command.workerId} ${command.asOf.epoch}`;", replace: "const key = command.workerId;" }],
      },
    ],
    caughtBy: { test: "test/manager/engine/release.test.ts" },
  },
  {
    name: "call exit 138 a signal that nobody sent",
    rule: 24,
    breaks: "a program that exits by itself is said to have been signalled",
    changes: [
      {
        file: "worker/agent/ends.ts",
        edits: [{ find: "const sent = entry.signals.find(", replace: "const sent = Object.keys(signalNumbers).find(" }],
      },
    ],
    caughtBy: { test: "test/worker/agent/ends.test.ts" },
  },
  {
    name: "start without room for the end",
    rule: 26,
    breaks: "a run ends on a full disk, and its end is lost",
    changes: [
      {
        file: "worker/agent/starts.ts",
        edits: [{ find: '  if (!state.room) return "no room: the worker\'s disk is full";\n', replace: "" }],
      },
    ],
    caughtBy: { test: "test/worker/agent/starts.test.ts" },
  },
  {
    name: "extend fences by an earlier life's echo",
    rule: 9,
    breaks: "a fence moves by what a leader said to the life before, beyond what the leader counts on",
    changes: [
      {
        file: "worker/agent/commands.ts",
        edits: [
          {
            find: "  if (message.asOf.epoch !== state.options.epoch) {\n",
            replace: "  heard(turn, message.asOf.mono);\n  if (message.asOf.epoch !== state.options.epoch) {\n",
          },
        ],
      },
    ],
    caughtBy: { test: "test/worker/agent/fence.test.ts" },
  },
  {
    name: "count what no leader heard",
    rule: 1,
    breaks: "the second agent of a journal that was put back passes for a lawful successor, and what ran is placed again",
    changes: [
      {
        file: "worker/agent/agent.ts",
        edits: [{ find: "seqAtStart: meta.unheardSeq ?? meta.nextSeq - 1,", replace: "seqAtStart: meta.nextSeq - 1," }],
      },
    ],
    caughtBy: { test: "test/worker/agent/hello.test.ts" },
  },
];
