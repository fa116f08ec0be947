/** The broker dies with everything that it stored, while starts wait, are on their way and run: the broker is a wire, never a store. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../kit/until.ts";
import { residentMb, seconds, sumOf } from "../load/figures.ts";
import { drained, verdict, witnessed } from "../load/verdict.ts";
import type { Scenario } from "../scenario.ts";
import { System, systemMissing } from "../system.ts";

const slots = 10;

export const brokerWiped: Scenario = {
  name: "broker-wiped",
  about: "the broker is killed and its store wiped while 500 starts wait: 500 of 500 run, none twice",
  missing: systemMissing,
  async play(size, say) {
    const count = size.kind === "full" ? 500 : 60;
    const workers = ["w1", "w2"];
    await using system = await System.start({
      managers: ["m1"],
      workers,
      workerEnv: { MUSTER_WORKER_SLOTS: String(slots) },
    });
    // Those that run when the broker dies end while it is away: the gate opens then.
    const gate = join(system.folder, "gate");
    const script = `while [ ! -e '${gate}' ]; do sleep 0.1; done; exit "$PARAM_code"`;
    const taskId = await system.task({ name: "wiped", script, params: { code: "0" } });
    const starts = Array.from({ length: count }, (_, n) => ({ taskId, tag: `start-${n}`, params: { code: String(n % 3) } }));
    await system.client.startManySurely(starts);
    const running = slots * workers.length;
    await until("every slot to be taken", () => witnessed(system).began >= running, 60_000);

    await system.kill("broker");
    system.broker.wipe();
    say(`the broker is dead; ${running} runs have begun, ${count - running} wait`);
    writeFileSync(gate, "");
    await until("those that ran to have ended", () => witnessed(system).ended >= running, 60_000);
    const known = count - (await sumOf(system.client, "muster_runs"));
    await system.restart("broker");
    system.healed();
    const beganMs = performance.now();
    await drained(system, 600_000);
    const drainMs = performance.now() - beganMs;
    const { violations, figures } = await verdict(system, []);
    return {
      figures: {
        starts: count,
        acknowledged: figures.acknowledged,
        processes: figures.processes,
        endedWhileAway: running,
        knownWhileAway: known,
        drainSeconds: seconds(drainMs),
        managerMemoryMostMb: residentMb(system.managers.member("m1"), "VmHWM"),
      },
      violations,
    };
  },
};
