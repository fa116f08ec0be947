/** What the metrics say of an engine that really runs: counts of what happened, gauges of what is, and nothing of a lead that is over. */
import { expect, test } from "vitest";
import { processClock } from "../../../schema/kit/clock.ts";
import type { Family } from "../../../schema/kit/metrics/families.ts";
import type { Report } from "../../../schema/messages.ts";
import { countEngine, type EngineCounts } from "../../../manager/telemetry/metrics-engine.ts";
import { countHttp } from "../../../manager/telemetry/metrics-http.ts";
import { leadFamilies } from "../../../manager/telemetry/metrics-lead.ts";
import { causeOfRefusal } from "../../../manager/telemetry/metrics-refusals.ts";
import { StoreError } from "../../../manager/store/store.ts";
import { createTask, hello, makeRig, type Rig } from "../engine/rig.ts";
import { until } from "../../kit/until.ts";

interface Counted {
  readonly rig: Rig;
  /** The value of a series such as `muster_runs{state=queued}`; the pool goes without saying. Undefined: there is none. */
  value(series: string): number | undefined;
}

async function counted(): Promise<Counted> {
  const made: { rig?: Rig } = {};
  const counts: EngineCounts = countEngine(["default"], () => made.rig?.engine.lead?.state);
  const rig = await makeRig({ watch: counts.watch, onEvents: counts.events });
  made.rig = rig;
  const families: readonly Family[] = [...counts.families, ...leadFamilies(new Map([["default", rig.engine]]), processClock)];
  return { rig, value: (series) => valueOf(families, series) };
}

function valueOf(families: readonly Family[], series: string): number | undefined {
  const [, name, suffix, inner] = /^(\w+?)(_count|_sum)?(?:\{(.*)\})?$/.exec(series) as unknown as [
    string,
    string,
    string?,
    string?,
  ];
  const wanted = Object.fromEntries(
    (inner ?? "")
      .split(",")
      .filter(Boolean)
      .map((pair) => pair.split("=")),
  );
  const family = families.find(({ spec }) => spec.name === name);
  if (!family) throw new Error(`no metric ${name}`);
  const found = family
    .samples()
    .filter(
      (sample) => sample.suffix === suffix && Object.entries(wanted).every(([label, value]) => sample.labels[label] === value),
    );
  return found.length === 0 ? undefined : found.reduce((sum, sample) => sum + sample.value, 0);
}

const epoch = "AAAAAAAAAAAA.1.BBBBBBBBBBBB";
let mono = 2_000;

function report(rig: Rig, items: readonly Report[], unreadable: { seq: number; raw: string; why: string }[] = []): void {
  mono += 1_000;
  const message = { epoch, connection: 1, mono, journal: "AAAAAAAAAAAA", items: [...items], unreadable };
  rig.engine.post({ kind: "reports", workerId: "w", message }, 100);
}

async function startRun(rig: Rig, task: string): Promise<void> {
  await rig.engine.ask({
    kind: "startRun",
    item: {
      mayExist: false,
      runId: `run-of-${task}`,
      taskId: `id-${task}`,
      params: {},
      labels: {},
      workerId: null,
      idempotencyKey: null,
      bodyHash: "",
      trace: "",
    },
    by: "tester",
    byReason: null,
  });
}

test("a run's whole life: made, sent, taken, ended; and what there is meanwhile", async () => {
  const { rig, value } = await counted();
  await rig.engine.ask(createTask("t"));
  await startRun(rig, "t");
  expect(value("muster_runs{state=queued}")).toBe(1);
  expect(value("muster_queue_runs{why=noFreeSlot}")).toBe(1);
  expect(value("muster_queue_oldest_age_seconds")).toBeGreaterThanOrEqual(0);
  expect(value("muster_run_wait_seconds_count")).toBe(0);

  rig.engine.post(hello("w"), 100);
  const attempt = await until("the attempt", () => rig.engine.lead?.state.attempts.values().next().value?.row);
  await until("its start to be counted", () => value("muster_message_items_total{direction=down,kind=start}") === 1);
  expect(value("muster_runs{state=queued}")).toBe(0);
  expect(value("muster_attempts{state=sent}")).toBe(1);
  expect(value("muster_workers{state=online}")).toBe(1);
  expect(value("muster_slots")).toBe(1);
  expect(value("muster_slots_used")).toBe(1);
  expect(value("muster_run_wait_seconds_count")).toBe(1);
  expect(value("muster_start_answer_seconds_count")).toBe(0);

  const about = { attempt: attempt.id, start: 1, at: Date.now() };
  report(rig, [
    { ...about, seq: 1, kind: "accepted" },
    { ...about, seq: 2, kind: "running", pid: 1 },
    { ...about, seq: 3, kind: "end", end: { how: "exited", code: 0 } },
  ]);
  await until("the end to be counted", () => value("muster_runs_ended_total{state=succeeded}") === 1);
  expect(value("muster_runs_created_total")).toBe(1);
  expect(value("muster_runs_ended_total")).toBe(1);
  expect(value("muster_attempts_ended_total{how=exited}")).toBe(1);
  expect(value("muster_start_answer_seconds_count")).toBe(1);
  expect(value("muster_run_duration_seconds_count")).toBe(1);
  expect(value("muster_run_duration_seconds_sum")).toBeLessThan(20);
  expect(value("muster_message_items_total{direction=up,kind=end}")).toBe(1);
  expect(value("muster_events_total{kind=runEnded}")).toBe(1);
  expect(value("muster_slots_used")).toBe(0);
  expect(value("muster_batch_inputs_sum")).toBeGreaterThanOrEqual(4);
  expect(value("muster_commit_duration_seconds_count")).toBeGreaterThan(0);
});

test("refused starts by cause, repeated reports, and a report that is set aside", async () => {
  const { rig, value } = await counted();
  await rig.engine.ask(createTask("t"));
  rig.engine.post(hello("w"), 100);
  await startRun(rig, "t");
  const attempt = await until("the attempt", () => rig.engine.lead?.state.attempts.values().next().value?.row);
  const refused: Report = {
    attempt: attempt.id,
    start: 1,
    at: 1,
    seq: 1,
    kind: "end",
    end: { how: "refused", why: "no room: the worker's disk is full" },
  };
  report(rig, [refused]);
  await until("the refusal", () => value("muster_starts_refused_total{cause=noRoom}") === 1);
  expect(value("muster_starts_refused_total")).toBe(1);
  expect(value("muster_attempts_ended_total{how=refused}")).toBe(1);
  expect(value("muster_runs_ended_total")).toBe(0);
  expect(value("muster_queue_runs{why=resting}")).toBe(1);
  report(rig, [refused], [{ seq: 2, raw: "{}", why: "no kind" }]);
  await until("what is set aside", () => value("muster_set_aside_total") === 1);
  expect(value("muster_notes_total{what=repeatedReport}")).toBe(1);
});

test("a database that fails is counted at each try and is in trouble as long as it does; a lead that is over leaves no gauges", async () => {
  const { rig, value } = await counted();
  expect(value("muster_leader")).toBe(1);
  expect(value("muster_lease_term")).toBe(1);
  expect(value("muster_database_trouble")).toBe(0);
  let left = 2;
  rig.fault = async (_, commit) => {
    if (left-- > 0) throw new StoreError("transient", true, "the disk is full");
    return await commit();
  };
  await rig.engine.ask(createTask("t"));
  expect(value("muster_store_failures_total")).toBe(2);
  expect(value("muster_database_trouble")).toBe(0);
  rig.fault = null;
  await rig.engine.stop();
  expect(value("muster_leader")).toBe(0);
  for (const name of ["muster_runs", "muster_workers", "muster_lease_term", "muster_queue_oldest_age_seconds", "muster_alarms"])
    expect(value(name)).toBeUndefined();
  // What it did stays done.
  expect(value("muster_store_failures_total")).toBe(2);
});

test.each([
  ["no room: it needs 1 slots", "noRoom"],
  ["stale: no room came free in time", "stale"],
  ["body not fetched in time", "bodyNotFetched"],
  ["agent restarted", "agentRestarted"],
  ["whatever\na stranger says", "other"],
])("a refusal %j is of class %s", (why, cause) => expect(causeOfRefusal(why)).toBe(cause));

test("requests are counted by pattern, method and status; methods that nobody knows are one, and streams have no duration", () => {
  const { families, answered } = countHttp();
  const one = { method: "GET", pattern: "/runs/{id}", status: 200, durationMs: 3, streamed: false };
  answered(one);
  answered({ ...one, durationMs: 5 });
  answered({ ...one, status: 404 });
  answered({ ...one, streamed: true, durationMs: 1e9 });
  for (const method of ["BREW", "WHEN"]) answered({ ...one, method, pattern: "none", status: 405 });
  expect(valueOf(families, "muster_http_requests_total{route=/runs/{id},code=200}")).toBe(3);
  expect(valueOf(families, "muster_http_requests_total{code=404}")).toBe(1);
  expect(valueOf(families, "muster_http_requests_total{method=other,route=none}")).toBe(2);
  expect(valueOf(families, "muster_http_request_duration_seconds_count{route=/runs/{id}}")).toBe(3);
  expect(valueOf(families, "muster_http_request_duration_seconds_sum{route=/runs/{id}}")).toBeCloseTo(0.011);
});
