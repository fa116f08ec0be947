/** The worker's own metrics: what is counted of its steps, and the port that gives them. */
import { expect, test } from "vitest";
import { silentLog } from "../../../schema/kit/log.ts";
import type { AgentAction, AgentInput, AgentView } from "../../../worker/agent/types.ts";
import { countAgent } from "../../../worker/telemetry/counts.ts";
import { exposeWorker } from "../../../worker/telemetry/metrics.ts";
import { serveMetrics } from "../../../worker/telemetry/serve.ts";
import { TestAgent } from "../agent/kit.ts";

const view: AgentView = {
  connected: true,
  synced: true,
  draining: false,
  free: { slots: 3, memoryMb: 1, cpus: 1 },
  live: [
    { attempt: "a", run: "r", state: "running", pid: 1 },
    { attempt: "b", run: "s", state: "running", pid: 2 },
    { attempt: "c", run: "t", state: "accepted", pid: null },
  ],
  unackedReports: 7,
  refused: null,
  lastEnds: [],
};

const told = {
  view: () => view,
  link: {
    connected: false,
    connection: 4,
    figures: { received: 9, notSent: 2, sent: { hello: 1, reports: 5, heartbeat: 8, logs: 0, status: 1 } },
  },
  shell: { counts: { "dropped: inbox full": 3, "future version": 1 }, journalFull: "no space left" },
  logs: { spoolBytes: 100, shippedBytes: 200 },
  slots: 5,
  version: "1.2.3",
};

test("what the agent's steps say is counted once: an end that is told of again is no second end", () => {
  const counts = countAgent();
  class CountedAgent extends TestAgent {
    override put(input: AgentInput): readonly AgentAction[] {
      const actions = super.put(input);
      counts.stepped(input, { journal: this.writes, actions });
      return actions;
    }
  }
  const agent = new CountedAgent();
  agent.recover();
  agent.connectAndSync().run("a").run("b");
  agent.ended("a");
  agent.start("a");
  agent.start("never", { driver: "absent" });
  agent.say({ kind: "stop", attempt: "unheard", by: "ana", graceSeconds: 1 });
  agent.ack();
  agent.ended("b", { exit: { read: "code", code: 7 } });
  agent.pass(60_000);
  const values = Object.fromEntries(
    counts.families.flatMap((family) =>
      family.samples().map(({ labels, value }) => [`${family.spec.name} ${Object.values(labels).join()}`.trim(), value]),
    ),
  );
  expect(values).toMatchObject({
    muster_worker_processes_started_total: 2,
    muster_worker_connections_total: 1,
    "muster_worker_attempts_ended_total exited": 2,
    "muster_worker_attempts_ended_total refused": 1,
    "muster_worker_attempts_ended_total stopped": 1,
    "muster_worker_attempts_ended_total lost": 0,
  });
});

test("the page says what the agent's parts say, and no attempt's id", async () => {
  const counts = countAgent();
  counts.stepped({ kind: "connected", connection: 1 }, { journal: [], actions: [] });
  const { body } = await exposeWorker({ ...told, counts }).text("text/plain");
  const lines = body.split("\n").filter((line) => line.startsWith("muster_"));
  for (const line of [
    'muster_worker_attempts{state="running"} 2',
    'muster_worker_attempts{state="accepted"} 1',
    'muster_worker_attempts{state="stopping"} 0',
    "muster_worker_slots_free 3",
    "muster_worker_connected 0",
    "muster_worker_connections_total 1",
    "muster_worker_connection_attempts_total 4",
    'muster_worker_messages_total{direction="up",kind="reports"} 5',
    'muster_worker_messages_total{direction="down",kind="commands"} 9',
    'muster_worker_messages_dropped_total{direction="up",why="notTaken"} 2',
    'muster_worker_messages_dropped_total{direction="down",why="inboxFull"} 3',
    'muster_worker_messages_dropped_total{direction="down",why="futureVersion"} 1',
    "muster_worker_unacked_reports 7",
    "muster_worker_journal_full 1",
    "muster_worker_log_bytes_shipped_total 200",
    'muster_build_info{part="worker",version="1.2.3"} 1',
  ])
    expect(lines).toContain(line);
  expect(body).not.toMatch(/="[abcrst]"/);
});

test("the port gives the page and nothing else, in either format; a port that is taken is named with its setting", async () => {
  const exposition = exposeWorker({ ...told, counts: countAgent() });
  const options = { host: "127.0.0.1", port: 0, log: silentLog() };
  await using server = await serveMetrics(exposition, options);
  const url = `http://127.0.0.1:${server.port}`;
  const page = await fetch(`${url}/metrics?x=1`);
  expect([page.status, page.headers.get("content-type")]).toEqual([200, "text/plain; version=0.0.4; charset=utf-8"]);
  expect(await page.text()).toContain("muster_worker_slots 5\n");
  const open = await fetch(`${url}/metrics`, { headers: { accept: "application/openmetrics-text" } });
  expect(await open.text()).toMatch(/# EOF\n$/);
  expect(await (await fetch(`${url}/metrics`, { method: "HEAD" })).text()).toBe("");
  for (const [method, path] of [
    ["GET", "/"],
    ["POST", "/metrics"],
    ["GET", "/metrics/x"],
  ] as const)
    expect((await fetch(`${url}${path}`, { method })).status).toBe(404);
  await expect(serveMetrics(exposition, { ...options, port: server.port })).rejects.toThrow(
    `metrics cannot be given on 127.0.0.1:${server.port}: another program listens there; set MUSTER_METRICS_PORT to a free port`,
  );
});
