/** The spans of a worker's core that really steps, over the edges of its life. */
import { expect, test } from "vitest";
import type { Commands, Report } from "../../../schema/messages.ts";
import { formatTraceparent, processSpanId } from "../../../schema/trace.ts";
import { traceLink, traceShell } from "../../../worker/telemetry/tracing.ts";
import { spanRecorder, type Recorder } from "../../kit/spans.ts";
import { only, published, startOf, TestAgent } from "../agent/kit.ts";

const traceId = "4b".repeat(16);
const sent = `00-${traceId}-${"1".repeat(16)}-01`;
const wire = { prefix: "muster", clientId: "w", pool: "default", workerId: "w" };
const options = { traces: true };

/** An agent between the two ends of tracing, as the shell puts them. */
function rig(agent: TestAgent, spans: Recorder = spanRecorder()) {
  const shell = traceShell(spans, wire);
  const written = (): void => shell.written([{ journal: agent.writes, actions: agent.actions }], 0);
  return {
    agent,
    spans,
    say(...items: Commands["items"]) {
      const message = { v: 1 as const, term: 1, asOf: { epoch: agent.epoch, mono: agent.mono }, items };
      agent.put({ kind: "commands", message: shell.received(message) });
      const actions = agent.actions;
      written();
      return actions;
    },
    /** Some other input, which was stepped just now. */
    did(..._stepped: unknown[]) {
      written();
    },
  };
}

const start = (more: Parameters<typeof startOf>[1] = {}) =>
  startOf("a1", { trace: sent, env: { TRACEPARENT: sent, OWN: "x" }, ...more });
const processed = "process muster/v1/{pool}/{worker}/down/commands";

test("a start: consumed and journalled below its publish span; the program is told of the span that its process will have", () => {
  const { agent, spans, say, did } = rig(new TestAgent({ options }).connectAndSync());
  const [launch] = only(say(start()), "launch");
  const [consumed] = spans.named(processed);
  expect(consumed).toMatchObject({
    kind: "consumer",
    parent: sent,
    remote: true,
    attributes: {
      "messaging.destination.name": "muster/v1/default/w/down/commands",
      "muster.attempt.id": "a1",
      "muster.outcome": ["accepted"],
    },
  });
  expect(spans.named("journal")).toMatchObject([{ parent: consumed?.traceparent }]);
  const own = formatTraceparent({ traceId, spanId: processSpanId("a1"), sampled: true });
  expect(launch?.order.env).toEqual({ TRACEPARENT: own, OWN: "x" });
  did(agent.started("a1"));
  expect(spans.named("execute")).toEqual([]);
  const startedMs = agent.wall;
  agent.wall += 500;
  did(agent.ended("a1", { exit: { read: "code", code: 3 } }));
  expect(spans.named("execute")).toMatchObject([
    {
      traceparent: own,
      parent: consumed?.traceparent,
      startMs: startedMs,
      endMs: startedMs + 500,
      error: "exited",
      attributes: { "process.exit.code": 3, "process.pid": 4_000, "muster.end.how": "exited" },
    },
  ]);
});

test("a start that comes again is consumed again and makes no second process span; nor does an answer about the end", () => {
  const { agent, spans, say, did } = rig(new TestAgent({ options }).connectAndSync());
  say(start());
  did(agent.started("a1"));
  say(start({ trace: sent.replace("1111", "2222") }));
  expect(spans.named(processed)).toHaveLength(2);
  did(agent.ended("a1"));
  say(start());
  say({ kind: "ask", attempts: ["a1"] });
  expect(spans.named("execute")).toHaveLength(1);
  expect(spans.named("execute")[0]).toMatchObject({ parent: spans.named(processed)[0]?.traceparent });
  expect(spans.named("execute")[0]?.error).toBeUndefined();
});

test("the next agent ends the span that the first told the process of", () => {
  const first = rig(new TestAgent({ options }).connectAndSync());
  first.say(start());
  first.did(first.agent.started("a1"));
  const startedWall = first.agent.wall;
  const [consumed] = first.spans.named(processed);
  const next = rig(first.agent.restart({ options }));
  const process = { bootId: "boot-1", pid: 4_000, startTicks: 99 };
  next.did(next.agent.recover([{ attempt: "a1", found: "alive", process, startedWall }]));
  next.did(next.agent.ended("a1"));
  expect(next.spans.named("execute")).toMatchObject([
    { parent: consumed?.traceparent, spanId: processSpanId("a1"), startMs: startedWall },
  ]);
  expect(first.spans.named("execute")).toEqual([]);
});

test("a start that is refused had no process, and has no span of one; one whose program is missing has", () => {
  const { agent, spans, say, did } = rig(new TestAgent({ options }).connectAndSync());
  say(start({ driver: "none" }));
  expect(spans.named(processed)[0]?.attributes).toMatchObject({ "muster.outcome": ["refused"] });
  expect(spans.named("execute")).toEqual([]);
  say({ ...start(), attempt: "a2" });
  did(agent.put({ kind: "notStarted", attempt: "a2", how: "failedToStart", why: "no such program" }));
  expect(spans.named("execute")).toMatchObject([{ error: "failedToStart", attributes: { "muster.end.why": "no such program" } }]);
});

test("a stop is consumed below its own publish span, and a process that was stopped is no error", () => {
  const { agent, spans, say, did } = rig(new TestAgent({ options }).connectAndSync());
  say(start());
  did(agent.started("a1"));
  say({ kind: "stop", attempt: "a1", by: "ana", graceSeconds: 1, trace: sent.replace("1111", "3333") });
  expect(spans.named(processed)[1]).toMatchObject({
    parent: sent.replace("1111", "3333"),
    attributes: { "muster.command": "stop", "muster.outcome": ["stopping"] },
  });
  did(agent.ended("a1", { termBefore: true, exit: { read: "code", code: 143 } }));
  expect(spans.named("execute")[0]).toMatchObject({ attributes: { "muster.end.how": "stopped", "muster.end.by": "ana" } });
  expect(spans.named("execute")[0]?.error).toBeUndefined();
});

test.each(["", sent.replace(/..$/, "00"), "nonsense"])(
  "a start of the context %j makes no span, and goes on as it came",
  (trace) => {
    const { agent, spans, say, did } = rig(new TestAgent({ options }).connectAndSync());
    const [launch] = only(say(start({ trace })), "launch");
    expect(launch?.order.env["TRACEPARENT"]).toBe(sent);
    did(agent.started("a1"));
    did(agent.ended("a1"));
    expect(spans.spans).toEqual([]);
  },
);

test("reports carry the context of their start, once its worker traces, and their publish span's on the wire", () => {
  const quiet = new TestAgent().connectAndSync();
  quiet.start("a1", { trace: sent });
  expect(published(quiet.actions, "reports").flatMap((message) => message.items.map((item) => item.trace))).toEqual([undefined]);

  const { agent, spans, say, did } = rig(new TestAgent({ options }).connectAndSync());
  const link = traceLink(spans, wire);
  const [message] = published(say(start(), { ...start({ trace: "" }), attempt: "a2" }), "reports");
  const items = (leaving: object): readonly Report[] => (leaving as { items: readonly Report[] }).items;
  const leaving = link.publishing("reports", message!);
  const name = "publish muster/v1/{pool}/{worker}/up/reports";
  expect(spans.named(name)).toEqual([]);
  leaving?.published("taken");
  const [publish] = spans.named(name);
  expect(publish).toMatchObject({
    kind: "producer",
    parent: spans.named(processed)[0]?.traceparent,
    attributes: { "muster.reports": ["accepted"], "muster.attempt.id": "a1" },
  });
  expect(items(leaving!.message).map((item) => [item.attempt, item.trace])).toEqual([
    ["a1", publish?.traceparent],
    ["a2", undefined],
  ]);
  did(agent.started("a2"));
  expect(link.publishing("reports", published(agent.actions, "reports")[0]!)).toBeUndefined();
  expect(link.publishing("heartbeat", {})).toBeUndefined();
});
