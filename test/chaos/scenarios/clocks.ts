import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { Fleet } from "../../kit/fleet.ts";
import { until } from "../../kit/until.ts";
import { WallClock, wallClockMissing } from "../../kit/wall-clock.ts";
import { countsOf, Notes } from "../hosts/findings.ts";
import { linesOf } from "../hosts/lone-worker.ts";
import type { Scenario } from "../scenario.ts";

const hour = 3_600;

export const clocks: Scenario = {
  name: "clocks",
  about:
    "Wall clocks of manager and worker jump by hours while runs go on, and one is a day wrong: nobody is declared lost, nothing runs twice, nothing is stuck.",
  missing: wallClockMissing,
  async play({ kind }, say) {
    const notes = new Notes();
    const each = kind === "full" ? 40 : 3;
    await using stack = new AsyncDisposableStack();
    const fleet = stack.use(await Fleet.start({ MUSTER_HEARTBEAT_MS: "2000", MUSTER_WORKER_SLOTS: "20" }));
    const managers = new WallClock(join(fleet.folder, "clock-manager"));
    const workers = new WallClock(join(fleet.folder, "clock-worker"));
    const wrong = new WallClock(join(fleet.folder, "clock-wrong"));
    wrong.set(-24 * hour);
    if (fleet.manager) await fleet.kill(fleet.manager);
    await fleet.startManager(managers.env);
    await fleet.startWorker("jumps", workers.env);
    await fleet.startWorker("wrong", wrong.env);
    const taskOf = async (name: string, more: Record<string, unknown>): Promise<string> =>
      await fleet.task({
        name,
        run: {
          driver: "script",
          interpreter: "sh",
          script: `echo "$MUSTER_RUN_ID $MUSTER_ATTEMPT" >>${fleet.witness}; until [ -e "$PARAM_gate" ]; do sleep 0.1; done; sleep 0.5; exit 4`,
        },
        params: { gate: "" },
        timeoutSeconds: 600,
        ...more,
      });
    const tasks = [
      await taskOf("wait", {}),
      await taskOf("retry", { onLost: "retry", lostAfterSeconds: 60, retry: { attempts: 2, on: ["failed"], backoffSeconds: 1 } }),
    ];
    const runs: string[] = [];
    const jumps: readonly (readonly [string, WallClock, number])[] = [
      ["the worker's clock goes 2 hours ahead", workers, 2 * hour],
      ["the manager's clock goes 3 hours back", managers, -3 * hour],
      ["the worker's clock goes 3 hours back", workers, -3 * hour],
      ["the manager's clock goes 2 hours ahead", managers, 2 * hour],
      ["both are right again", workers, 0],
    ];
    for (const [what, clock, seconds] of jumps) {
      const gate = join(fleet.folder, `gate-${runs.length}`);
      for (const task of tasks) runs.push(...(await fleet.startRuns(task, each, { params: { gate } })));
      await until(
        "some to run",
        async () => (await fleet.call("GET", "/runs?state=running&limit=1")).body.items.length > 0,
        30_000,
      );
      clock.set(seconds);
      if (seconds === 0) managers.set(0);
      writeFileSync(gate, "");
      say(what);
      // A wall clock in a deadline shows within a few ticks and heartbeats of the jump.
      if (kind === "full") await after(5_000);
    }
    await judge(fleet, notes, runs);
    await checkJumps(fleet, notes, runs);
    return notes.findings;
  },
};

async function judge(fleet: Fleet, notes: Notes, runs: readonly string[]): Promise<void> {
  const attempts = new Set<string>();
  for (const id of runs) {
    const run = await fleet.ended(id, 120_000).catch(() => undefined);
    notes.count("stuck", run ? 0 : 1);
    if (!run) {
      notes.violated(`run ${id} has not ended: ${JSON.stringify(await fleet.run(id))}`);
      continue;
    }
    const ends = run.attempts.filter((attempt: any) => attempt.end.how !== "refused");
    notes.same(`the end of ${id}`, run.end, { how: "exited", code: 4 });
    for (const { number, end } of ends) {
      attempts.add(`${id} ${number}`);
      notes.same(`attempt ${number} of ${id}`, end, { how: "exited", code: 4 });
    }
    const tries = run.taskName === "retry" || ends.length > 1 ? 2 : 1;
    if (ends.length > tries) notes.violated(`run ${id} had ${ends.length} tries`);
  }
  const lost = (await fleet.call("GET", "/events?kind=workerLost&limit=200")).body.items;
  notes.figure("runs", runs.length);
  notes.figure("falseLost", lost.length);
  for (const event of lost) notes.violated(`a worker that was not away was declared lost: ${JSON.stringify(event)}`);
  const starts = countsOf(linesOf(fleet.witness));
  const extra = [...starts].filter(([line, count]) => count > 1 || !attempts.has(line));
  notes.figure("extraStarts", extra.length);
  for (const [line, count] of extra) notes.violated(`attempt "${line}" was started ${count} times`);
  notes.same("starts and attempts that ended", starts.size, attempts.size);
}

/** A test of the tester: the manager's events must show that its clock went back and forth. */
async function checkJumps(fleet: Fleet, notes: Notes, runs: readonly string[]): Promise<void> {
  const seen = await Promise.all(runs.map((id) => fleet.run(id)));
  const queued = seen.map((run: any) => Date.parse(run.createdAt ?? run.queuedAt)).filter((at: number) => !Number.isNaN(at));
  const hours = Math.round((Math.max(...queued) - Math.min(...queued)) / (hour * 1_000));
  notes.figure("hoursBetweenStampsOfRuns", hours);
  if (!(hours >= 4)) notes.violated(`the manager's clock was to jump by 5 hours, and its stamps lie ${hours} hours apart`);
}
