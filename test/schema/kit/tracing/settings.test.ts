import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import { readTracing } from "../../../../schema/kit/tracing/settings.ts";

const own = { "service.name": "muster-worker", "service.instance.id": "w1" };
const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" };

test.each([
  ["nothing is set", {}],
  ["the endpoint is empty", { OTEL_EXPORTER_OTLP_ENDPOINT: " " }],
  ["the SDK is disabled", { ...endpoint, OTEL_SDK_DISABLED: "True" }],
  ["no exporter is wanted", { ...endpoint, OTEL_TRACES_EXPORTER: "none" }],
  ["only metrics have an endpoint", { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://collector:4318" }],
])("no spans are made when %s", (_, env) => expect(readTracing(env, own)).toBeNull());

test.each([
  endpoint,
  { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://collector:4318/v1/traces" },
  { ...endpoint, OTEL_SDK_DISABLED: "" },
])("an endpoint turns tracing on: %j", (env) => expect(readTracing(env, own)).toEqual({ resource: own }));

test("the operator's names go before our own, and the variable for the name before the attributes", () => {
  const env = {
    ...endpoint,
    OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=a%2Cb, service.name=x ,service.instance.id=i=1",
  };
  expect(readTracing(env, own)?.resource).toEqual({
    "service.name": "x",
    "service.instance.id": "i=1",
    "deployment.environment.name": "a,b",
  });
  expect(readTracing({ ...env, OTEL_SERVICE_NAME: "y" }, own)?.resource["service.name"]).toBe("y");
});

test.each(["=a", "a=%zz,b=c", "b=c,,=d"])("attributes that cannot be read (%j) are all void, and nothing stops", (text) => {
  expect(readTracing({ ...endpoint, OTEL_RESOURCE_ATTRIBUTES: text }, own)?.resource).toEqual(own);
});

/** Loads a part in a process of its own that says whether anything asked for a package of this name, and opens tracing. */
function loaded(part: "manager" | "worker", packages: string, settings: object | null): string {
  const hook = `import { registerHooks } from "node:module";
    registerHooks({ resolve(name, context, next) {
      if (name.startsWith("${packages}")) { console.log("loaded"); process.exit(); }
      return next(name, context);
    } });`;
  const script = `await import("./${part}/${part}.ts"); const { openTracing } = await import("./schema/kit/tracing.ts");
    await openTracing(${JSON.stringify(settings)}, {}); console.log("not loaded");`;
  const args = ["--import", `data:text/javascript,${encodeURIComponent(hook)}`, "--input-type=module", "-e", script];
  return execFileSync(process.execPath, args, { cwd: resolve(import.meta.dirname, "../../../.."), encoding: "utf8" }).trim();
}

test("without an endpoint a worker loads nothing of OpenTelemetry, and a manager no SDK (its API comes with other packages)", () => {
  expect(loaded("worker", "@opentelemetry/", null)).toBe("not loaded");
  expect(loaded("manager", "@opentelemetry/sdk", null)).toBe("not loaded");
  expect(loaded("worker", "@opentelemetry/sdk", { resource: own })).toBe("loaded");
  // Three processes load half of the source each.
}, 60_000);
