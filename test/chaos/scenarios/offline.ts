/** Starts for a worker that is not there: they wait in the manager, come in portions when it returns, and each runs once. */
import { until } from "../../kit/until.ts";
import { residentMb, seconds, sumOf } from "../load/figures.ts";
import { drained, verdict, witnessed } from "../load/verdict.ts";
import type { Scenario } from "../scenario.ts";
import { System, systemMissing } from "../system.ts";

const worker = "edge";
const slots = 20;

export const offline: Scenario = {
  name: "offline",
  about: "1,500 starts for a worker that is offline: all run, none twice, after it returns",
  missing: systemMissing,
  async play(size, say) {
    const count = size.kind === "full" ? 1_500 : 100;
    await using system = await System.start({
      managers: ["m1"],
      workers: [worker],
      workerEnv: { MUSTER_WORKER_SLOTS: String(slots) },
    });
    const seen: string[] = [];
    await system.kill(worker);
    await until("the worker to be unreachable", async () => {
      return (await system.client.call("GET", `/workers/${worker}`)).body.state === "unreachable";
    });
    const taskId = await system.task({ name: "offline", script: 'exit "$PARAM_code"', params: { code: "0" } });
    // Every other start names the worker, the others go to whoever comes.
    const starts = Array.from({ length: count }, (_, n) => ({
      taskId,
      tag: `start-${n}`,
      params: { code: String(n % 3) },
      ...(n % 2 === 0 ? { workerId: worker } : {}),
    }));
    const accepted: string[] = [];
    for (let from = 0; from < count; from += 1_000)
      accepted.push(...(await system.client.startManySurely(starts.slice(from, from + 1_000))));
    const { body: waiting } = await system.client.call("GET", `/runs/${accepted[0]}`);
    if (waiting.state !== "queued" || !String(waiting.reason).includes(worker))
      seen.push(`run ${accepted[0]} is for worker ${worker}, which is away; it is ${waiting.state}: ${waiting.reason}`);
    const early = witnessed(system).began;
    if (early > 0) seen.push(`${early} processes began while the worker was away`);
    const manager = system.managers.member("m1");
    const [before, messages] = [residentMb(manager, "VmRSS"), await sumOf(system.client, "muster_messages_total")];
    say(`${accepted.length} runs wait; the worker returns`);

    const beganMs = performance.now();
    const agent = system.spawnWorker(worker);
    system.healed();
    await drained(system, 600_000);
    const drainMs = performance.now() - beganMs;
    const { violations, figures } = await verdict(system, seen);
    return {
      figures: {
        starts: count,
        acknowledged: figures.acknowledged,
        processes: figures.processes,
        drainSeconds: seconds(drainMs),
        messages: (await sumOf(system.client, "muster_messages_total")) - messages,
        managerMemoryBeforeMb: before,
        managerMemoryMostMb: residentMb(manager, "VmHWM"),
        workerMemoryMostMb: residentMb(agent, "VmHWM"),
      },
      violations,
    };
  },
};
