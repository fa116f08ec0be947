/** Starts for a worker that is not there: they wait in the manager, come in portions when it returns, and each runs once. */
import { Managers } from "../../kit/managers.ts";
import { until } from "../../kit/until.ts";
import { countBegun, readRows, readWitness, witnessParams, witnessScript } from "../load/evidence.ts";
import { residentMb, seconds, sumOf } from "../load/figures.ts";
import { judgeRuns } from "../load/judge.ts";
import { served } from "../load/servers.ts";

const worker = "edge";
const env = { MUSTER_WORKER_SLOTS: "20" };

export const offline = served({
  name: "offline",
  about: "1,500 starts for a worker that is offline: all run, none twice, after it returns",
  workers: [worker],
  async playOn({ server, broker }, size, say) {
    await using fleet = await Managers.start({ server, broker, env }, ["m1"]);
    const violations: string[] = [];
    const seen = await fleet.startWorker(worker);
    await fleet.killMember(seen);
    await until("the worker to be unreachable", async () => {
      return (await fleet.client.call("GET", `/workers/${worker}`)).body.state === "unreachable";
    });
    const { taskId, accepted } = await startAll(fleet, size.kind === "full" ? 1_500 : 100);
    const waiting = await fleet.client.run(accepted[0] as string);
    if (waiting.state !== "queued" || !String(waiting.reason).includes(worker))
      violations.push(`run ${accepted[0]} is for worker ${worker}, which is away; it is ${waiting.state}: ${waiting.reason}`);
    const tooEarly = countBegun(fleet.witness);
    if (tooEarly > 0) violations.push(`${tooEarly} processes began while the worker was away`);
    const manager = fleet.member("m1").process;
    const [managerBefore, messagesBefore] = [residentMb(manager, "VmRSS"), await sumOf(fleet.client, "muster_messages_total")];
    say(`${accepted.length} runs wait; the worker returns`);

    const returnedMs = performance.now();
    const agent = await fleet.startWorker(worker);
    await until("all to have ended", async () => (await sumOf(fleet.client, "muster_runs")) === 0, 600_000);
    const drainMs = performance.now() - returnedMs;
    const rows = await readRows(server, fleet.databaseUrl, [taskId]);
    violations.push(...judgeRuns(accepted, rows, readWitness(fleet.witness)));
    return {
      figures: {
        starts: accepted.length,
        runsEnded: rows.filter(({ end }) => end?.how === "exited").length,
        processes: countBegun(fleet.witness),
        drainSeconds: seconds(drainMs),
        messages: (await sumOf(fleet.client, "muster_messages_total")) - messagesBefore,
        managerMemoryBeforeMb: managerBefore,
        managerMemoryMostMb: residentMb(manager, "VmHWM"),
        workerMemoryMostMb: residentMb(agent.process, "VmHWM"),
      },
      violations,
    };
  },
});

/** Every other start names the worker, the others go to whoever comes; their exit codes differ. */
async function startAll(
  fleet: Managers,
  count: number,
): Promise<{ readonly taskId: string; readonly accepted: readonly string[] }> {
  const run = { driver: "script", interpreter: "sh", script: witnessScript(fleet.witness, ":") };
  const taskId = await fleet.client.task({ name: "offline", params: witnessParams, run });
  const items = Array.from({ length: count }, (_, n) => ({
    taskId,
    params: { call: `c${n}`, code: String(n % 3) },
    ...(n % 2 === 0 ? { workerId: worker } : {}),
  }));
  const accepted: string[] = [];
  for (let from = 0; from < count; from += 1_000) {
    const made = await fleet.client.call("POST", "/runs", { items: items.slice(from, from + 1_000) });
    for (const item of made.body.items) accepted.push(item.run.id as string);
  }
  return { taskId, accepted };
}
