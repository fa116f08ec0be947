import { afterEach, expect, test } from "vitest";
import { processClock } from "../../../../schema/kit/clock.ts";
import { silentLog } from "../../../../schema/kit/log.ts";
import { openTracing, type Tracing } from "../../../../schema/kit/tracing.ts";
import { OtlpReceiver } from "../../../kit/otlp.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const parent = `00-${traceId}-00f067aa0ba902b7-01`;
const before = { ...process.env };

afterEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith("OTEL_")) delete process.env[name];
  Object.assign(process.env, before);
});

/** The SDK reads the environment of its process. */
async function opened(env: Readonly<Record<string, string>>): Promise<Tracing> {
  Object.assign(process.env, env);
  const resource = { "service.name": "muster-test", "service.instance.id": "one" };
  return (await openTracing({ resource }, { clock: processClock, log: silentLog() }))!;
}

test("spans arrive as they were made: ids, parents, links, times, attributes, errors, and whose they are", async () => {
  await using receiver = await OtlpReceiver.start();
  const tracing = await opened(receiver.env);
  const open = tracing.open({
    name: "outer",
    kind: "server",
    parent,
    remote: true,
    tracestate: "a=b",
    startMs: 1_000_000_000_000.25,
  });
  tracing.record({
    name: "inner",
    kind: "consumer",
    parent: open.traceparent,
    spanId: "1234567890abcdef",
    links: [parent, "no context"],
    startMs: 1_000_000_000_001,
    endMs: 1_000_000_000_000,
    attributes: { text: "x", number: 3, yes: true, list: ["a", "b"] },
    error: "exited",
  });
  open.link(`00-${"1".repeat(32)}-${"2".repeat(16)}-01`);
  open.end({ endMs: 1_000_000_000_002.5, attributes: { late: "y" } });
  await tracing.close();
  const outer = receiver.spans.find((span) => span.name === "outer")!;
  const inner = receiver.spans.find((span) => span.name === "inner")!;
  expect(outer).toMatchObject({
    traceId,
    parentSpanId: "00f067aa0ba902b7",
    kind: 2,
    status: 0,
    traceState: "a=b",
    startNano: 1_000_000_000_000_250_000n,
    endNano: 1_000_000_000_002_500_000n,
    attributes: { late: "y" },
    service: "muster-test",
  });
  expect(outer.links).toMatchObject([{ traceId: "1".repeat(32), spanId: "2".repeat(16) }]);
  expect(open.traceparent).toBe(`00-${traceId}-${outer.spanId}-01`);
  expect(inner).toMatchObject({ traceId, spanId: "1234567890abcdef", parentSpanId: outer.spanId, kind: 5, status: 2 });
  expect(inner.attributes).toEqual({ text: "x", number: 3, yes: true, list: ["a", "b"], "error.type": "exited" });
  expect(inner.links).toMatchObject([{ traceId, spanId: "00f067aa0ba902b7" }]);
  // A clock that went back makes a span of no length, and none that ends before it begins.
  expect(inner.endNano).toBe(inner.startNano);
  expect(inner.resource).toMatchObject({
    "service.name": "muster-test",
    "service.instance.id": "one",
    "host.name": expect.any(String),
  });
  expect(tracing.figures).toEqual({ exported: 2, failed: 0, dropped: 0 });
});

test("the sampler is the operator's: what it leaves out is in no export, and its context says so", async () => {
  await using receiver = await OtlpReceiver.start();
  const tracing = await opened({ ...receiver.env, OTEL_TRACES_SAMPLER: "parentbased_always_off" });
  const root = tracing.open({ name: "root", kind: "server", parent: null, startMs: 1 });
  expect(root.sampled).toBe(false);
  expect(root.traceparent).toMatch(/-00$/);
  root.end({ endMs: 2 });
  tracing.record({ name: "below a sampled one", kind: "internal", parent, startMs: 1, endMs: 2 });
  await tracing.close();
  expect(receiver.spans.map((span) => span.name)).toEqual(["below a sampled one"]);
});

test("an endpoint that refuses costs the spans and nothing else", async () => {
  await using receiver = await OtlpReceiver.start();
  receiver.refuseWith = 400;
  const tracing = await opened(receiver.env);
  for (let i = 0; i < 3; i += 1) tracing.record({ name: "x", kind: "internal", parent: null, startMs: 1, endMs: 2 });
  await tracing.close();
  expect(receiver.refused).toBeGreaterThan(0);
  expect(tracing.figures).toEqual({ exported: 0, failed: 3, dropped: 0 });
});

test("instants go on between two steps of the wall clock, and follow it", () => {
  return (async () => {
    await using receiver = await OtlpReceiver.start();
    const tracing = await opened(receiver.env);
    const { wall } = processClock.now();
    const first = tracing.at();
    expect(first).toBeGreaterThan(wall - 1_000);
    expect(first).toBeLessThan(processClock.now().wall + 1_000);
    expect(tracing.at()).toBeGreaterThan(first);
    const { mono } = processClock.now();
    expect(tracing.at(mono) - tracing.at(mono - 0.5)).toBeCloseTo(0.5, 1);
    await tracing.close();
  })();
});
