/** A real Prometheus reads a real manager and a real worker, and tells when the worker dies. */
import { describe, expect, onTestFailed, test } from "vitest";
import { managerMetrics, processMetrics, workerMetrics } from "../../scripts/generate/metrics.ts";
import { Fleet } from "../kit/fleet.ts";
import { freePorts } from "../kit/ports.ts";
import { noPrometheus, Prometheus, promtool, type Alert } from "../kit/prometheus.ts";
import { until } from "../kit/until.ts";

/** A heartbeat of 10 s becomes one of 400 ms, a scrape each 15 s one each 600 ms, `for: 1m` 2.4 s: what a rule sees stays the same. */
const faster = 25;

/** For a host that is busy with other things; nothing is measured by it. */
const patienceMs = 60_000;

/** Names that a page of metrics describes. */
const namesIn = (page: string): string[] => Array.from(page.matchAll(/^# HELP (\S+)/gm), ([, name]) => name as string).toSorted();

describe.skipIf(noPrometheus)(`with Prometheus${noPrometheus ? ` (skipped: ${noPrometheus})` : ""}`, () => {
  test("Prometheus scrapes manager and worker; a killed worker sets off its alert, and its return ends it", async () => {
    await using stack = new AsyncDisposableStack();
    const [port] = (await freePorts(1)) as [number];
    const fleet = stack.use(await Fleet.start({ MUSTER_HEARTBEAT_MS: String(10_000 / faster) }));
    const targets = { "muster-manager": [fleet.url.replace("http://", "")], "muster-worker": [`127.0.0.1:${port}`] };
    const env = { MUSTER_METRICS_PORT: String(port) };
    const [prometheus, worker] = await Promise.all([
      Prometheus.start(targets, fleet.token, faster).then((started) => stack.use(started)),
      fleet.startWorker("a", env),
    ]);
    onTestFailed(() => console.log(prometheus.log.slice(-3_000)));
    const task = await fleet.task({ name: "counted", run: { driver: "exec", program: "/bin/true" } });
    const runs = await fleet.startRuns(task, 5);
    for (const id of runs) await fleet.ended(id);
    const seen = (what: string, expr: string, value: number) =>
      until(`${what} (${expr})`, async () => (await prometheus.value(expr)) === value, patienceMs);
    await seen("the runs' ends", 'muster_runs_ended_total{pool="default",state="succeeded"}', 5);
    await seen("their latency", "muster_run_duration_seconds_count", 5);
    await seen("the worker's own count", 'muster_worker_attempts_ended_total{how="exited"}', 5);
    await seen("one worker", 'sum(muster_workers{state="online"})', 1);

    const firing = async (): Promise<readonly Alert[]> => (await prometheus.alerts()).filter(({ state }) => state === "firing");
    // Prometheus looks for its targets every 5 s, which nothing makes faster: for that long it misses the manager.
    await until("all to be well", async () => (await firing()).length === 0, patienceMs);
    await pagesHold(fleet, port);

    await fleet.kill(worker, "SIGKILL");
    const alert = await until(
      "the alert to fire",
      async () => (await firing()).find(({ labels }) => labels["alertname"] === "MusterWorkerLost"),
      patienceMs,
    );
    expect(alert).toMatchObject({
      labels: { alertname: "MusterWorkerLost", pool: "default", severity: "warning" },
      annotations: { runbook: "docs/operations.md#alert-worker-lost", summary: expect.stringContaining("1 of the workers") },
    });
    // Each by a scrape of its own, and one that comes too late for a busy host says 0 for a moment.
    await seen("the worker to be down", 'up{job="muster-worker"}', 0);
    await seen("the manager to be up", 'up{job="muster-manager"}', 1);

    await fleet.startWorker("a", env);
    await until("the alert to end", async () => (await firing()).length === 0, patienceMs);
  });
});

/** What both say is what is documented, no more and no less, and as Prometheus' own tool wants it. */
async function pagesHold(fleet: Fleet, workerPort: number): Promise<void> {
  const { status, body, headers } = await fleet.call("GET", "/metrics");
  expect(status).toBe(200);
  expect(headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const worker = await (await fetch(`http://127.0.0.1:${workerPort}/metrics`)).text();
  const names = (specs: readonly { readonly name: string }[]): string[] =>
    [...specs, ...processMetrics()].map(({ name }) => name).toSorted();
  expect(namesIn(body)).toEqual(names(managerMetrics()));
  expect(namesIn(worker)).toEqual(names(workerMetrics()));
  for (const page of [body, worker]) expect(promtool(["check", "metrics"], page)).toEqual({ ok: true, said: "" });
  // No label names a task, a run or a worker.
  expect(body).not.toMatch(/="(a|counted)"/);
}
