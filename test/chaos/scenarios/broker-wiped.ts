/** The broker dies with everything that it stored, while starts wait, are on their way and run: the broker is a wire, never a store. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Managers } from "../../kit/managers.ts";
import { until } from "../../kit/until.ts";
import { countBegun, readRows, readWitness, witnessParams, witnessScript } from "../load/evidence.ts";
import { residentMb, seconds, sumOf } from "../load/figures.ts";
import { judgeRuns } from "../load/judge.ts";
import { served } from "../load/servers.ts";

const workers = ["w1", "w2"] as const;
const env = { MUSTER_WORKER_SLOTS: "10" };

export const brokerWiped = served({
  name: "broker-wiped",
  about: "the broker is killed and its store wiped while 500 starts wait: 500 of 500 run, none twice",
  workers,
  async playOn({ server, broker }, size, say) {
    const count = size.kind === "full" ? 500 : 60;
    await using fleet = await Managers.start({ server, broker, env }, ["m1"]);
    await Promise.all(workers.map((id) => fleet.startWorker(id)));
    // Those that run when the broker dies end while it is away: the gate opens then.
    const gate = join(fleet.folder, "gate");
    const script = witnessScript(fleet.witness, `[ -e '${gate}' ] || while [ ! -e '${gate}' ]; do sleep 0.1; done`);
    const taskId = await fleet.client.task({
      name: "wiped",
      params: witnessParams,
      run: { driver: "script", interpreter: "sh", script },
    });
    const items = Array.from({ length: count }, (_, n) => ({ taskId, params: { call: `c${n}`, code: String(n % 3) } }));
    const made = await fleet.client.call("POST", "/runs", { items });
    const accepted: string[] = made.body.items.map((item: { run: { id: string } }) => item.run.id);
    await until("every slot to be taken", () => countBegun(fleet.witness) >= 20, 60_000);

    await broker.kill();
    broker.wipe();
    say(`the broker is dead; ${countBegun(fleet.witness)} runs have begun, ${count - countBegun(fleet.witness)} wait`);
    writeFileSync(gate, "");
    const endedAway = (): number => readWitness(fleet.witness).filter(({ what }) => what === "end").length;
    await until("those that ran to have ended", () => endedAway() >= 20, 60_000);
    const away = { ended: endedAway(), known: count - (await sumOf(fleet.client, "muster_runs")) };
    await broker.start();
    const backMs = performance.now();
    await until("all to have ended", async () => (await sumOf(fleet.client, "muster_runs")) === 0, 600_000);
    const drainMs = performance.now() - backMs;
    const rows = await readRows(server, fleet.databaseUrl, [taskId]);
    return {
      figures: {
        starts: accepted.length,
        runsEnded: rows.filter(({ end }) => end?.how === "exited").length,
        processes: countBegun(fleet.witness),
        endedWhileAway: away.ended,
        knownWhileAway: away.known,
        drainSeconds: seconds(drainMs),
        managerMemoryMostMb: residentMb(fleet.member("m1").process, "VmHWM"),
      },
      violations: judgeRuns(accepted, rows, readWitness(fleet.witness)),
    };
  },
});
