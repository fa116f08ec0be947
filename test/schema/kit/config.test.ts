import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readBrokerConfig } from "../../../broker/config.ts";
import { readManagerConfig } from "../../../manager/config.ts";
import { keys } from "../../../schema/kit/config/keys.ts";
import { flagOf, type Key } from "../../../schema/kit/config/key.ts";
import { ConfigStop } from "../../../schema/kit/config.ts";
import { idFromHost, readWorkerConfig } from "../../../worker/config.ts";

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "muster-config-"));
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

const manager = (env: Record<string, string> = {}, argv: string[] = []) => readManagerConfig(argv, env, cwd);
const worker = (env: Record<string, string> = {}, argv: string[] = []) => readWorkerConfig(argv, env, cwd);
const file = (name: string, text: string): string => {
  writeFileSync(join(cwd, name), text);
  return join(cwd, name);
};

function stopOf(read: () => unknown): ConfigStop {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigStop) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

describe("defaults", () => {
  test("a manager needs nothing", () => {
    const config = manager();
    expect(config).toMatchObject({
      dataDir: join(cwd, "data"),
      httpHost: "127.0.0.1",
      httpPort: 7070,
      publicUrl: "http://127.0.0.1:7070",
      databaseUrl: `sqlite:${join(cwd, "data/muster.db")}`,
      broker: { kind: "embedded", tls: null },
      brokerPort: 7071,
      pools: ["default"],
      placement: "round-robin",
      adminToken: null,
    });
    expect(statSync(config.dataDir).mode & 0o777).toBe(0o700);
    expect(Object.isFrozen(config.pools)).toBe(true);
  });

  test("a worker is called like its host and connects to the broker of this host", () => {
    expect(worker()).toMatchObject({
      workerId: idFromHost(hostname()),
      broker: { url: "mqtt://127.0.0.1:7071", username: idFromHost(hostname()), password: "" },
      capacity: { slots: 10, memoryMb: null, cpus: null },
      settings: { heartbeatMs: 10_000, startTtlMs: 35_000, workerLostMs: 75_000 },
      managerUrl: null,
      health: false,
    });
  });

  test("the broker alone", () => {
    expect(readBrokerConfig([], {}, cwd)).toEqual({
      dataDir: join(cwd, "data"),
      host: "127.0.0.1",
      port: 7071,
      prefix: "muster",
      logLevel: "info",
      tls: null,
    });
  });

  test("a host's name becomes an id", () => {
    expect(idFromHost("edge 7.example.org")).toBe("edge-7");
    expect(idFromHost("ä")).toBe("-");
    expect(idFromHost("")).toBe("worker");
    expect(idFromHost("x".repeat(80))).toHaveLength(36);
  });
});

test("flags go before the environment, the environment before the file, the file before the defaults", () => {
  file("muster.yaml", "http: { port: 1, host: ::1 }\nworker: { slots: 3, labels: { zone: a, n: 7 } }\n");
  expect(manager().httpPort).toBe(1);
  expect(manager().publicUrl).toBe("http://[::1]:1");
  expect(manager({ MUSTER_HTTP_PORT: "2" }).httpPort).toBe(2);
  expect(manager({ MUSTER_HTTP_PORT: "2" }, ["--http-port", "3"]).httpPort).toBe(3);
  expect(manager({ MUSTER_HTTP_PORT: "" }).httpPort).toBe(1);
  expect(worker().labels).toEqual({ zone: "a", n: "7" });
  expect(worker({ MUSTER_WORKER_LABELS: "zone=b, disk=ssd" }).labels).toEqual({ zone: "b", disk: "ssd" });
});

test("the file may be named, and must then be there", () => {
  file("other.yaml", "pools: [edge, core]");
  expect(manager({ MUSTER_CONFIG: "other.yaml" }).pools).toEqual(["edge", "core"]);
  expect(stopOf(() => manager({}, ["--config", "none.yaml"])).message).toContain('--config: the file "none.yaml" cannot be read');
});

describe("secrets", () => {
  test("come from a file, without its last line end, and are never shown", () => {
    file("password", "s3cret \n");
    expect(worker({ MUSTER_BROKER_PASSWORD_FILE: "password" }).broker.password).toBe("s3cret ");
    expect(worker({}, ["--broker-password-file", "password"]).broker.password).toBe("s3cret ");
    file("muster.yaml", "broker: { passwordFile: password }");
    expect(worker().broker.password).toBe("s3cret ");
    const stop = stopOf(() => manager({ MUSTER_ADMIN_TOKEN: "too-short-to-tell" }));
    expect(stop.message).toContain("MUSTER_ADMIN_TOKEN is not one; it takes at least 24 printable characters");
    expect(stop.message).not.toContain("too-short-to-tell");
  });

  test("cannot stand on the command line", () => {
    const stop = stopOf(() => worker({}, ["--broker-password", "s3cret"]));
    expect(stop.message).toBe(
      "muster worker: --broker-password would show a secret to everybody on this host; use --broker-password-file",
    );
  });

  test.each([
    [
      "both ways at once",
      { MUSTER_BROKER_PASSWORD: "a", MUSTER_BROKER_PASSWORD_FILE: "password" },
      "are both given; keep one of them",
    ],
    ["an empty file", { MUSTER_BROKER_PASSWORD_FILE: "empty" }, "MUSTER_BROKER_PASSWORD_FILE: the file empty is empty"],
    ["no file", { MUSTER_BROKER_PASSWORD_FILE: "gone" }, 'MUSTER_BROKER_PASSWORD_FILE: the file "gone" cannot be read'],
  ])("%s is said", (_name, env, sentence) => {
    file("password", "s3cret");
    file("empty", "");
    expect(stopOf(() => worker(env)).message).toContain(sentence);
  });
});

test.each([
  [
    "an unknown variable",
    { MUSTER_HTPP_PORT: "1" },
    [],
    "MUSTER_HTPP_PORT is not a key of Muster; did you mean MUSTER_HTTP_PORT?",
  ],
  ["an unknown flag", {}, ["--htp-port", "1"], "--htp-port is not a flag of manager; did you mean --http-port?"],
  ["another reader's flag", {}, ["--worker-slots=1"], "--worker-slots is not a flag of manager"],
  ["a word", {}, ["start"], '"start" is not a flag; flags begin with --'],
  ["a flag without its value", {}, ["--http-port"], "--http-port needs a value: a port"],
  ["a flag twice", {}, ["--http-port=1", "--http-port=2"], "--http-port and --http-port are both given"],
  ["a bad port", { MUSTER_HTTP_PORT: "70700" }, [], 'MUSTER_HTTP_PORT is "70700"; it takes a port from 0 to 65535'],
  ["no number", {}, ["--http-port", "http"], '--http-port is "http"; it takes a port'],
  ["a bad level", { MUSTER_LOG_LEVEL: "loud" }, [], "it takes trace, debug, info, warn, error, fatal, silent"],
  [
    "a relative module",
    { MUSTER_PLACEMENT: "./mine.ts" },
    [],
    "round-robin, least-loaded, two-choices, or the absolute path of a module",
  ],
  ["a pool twice", { MUSTER_POOLS: "a,a" }, [], "none twice"],
  [
    "a password in a url",
    { MUSTER_BROKER_URL: "mqtt://me:word@host" },
    [],
    'MUSTER_BROKER_URL is "mqtt://…@host"; it takes embedded, or mqtt://… or mqtts://…, without user or password in it',
  ],
  ["another scheme", { MUSTER_BROKER_URL: "ws://host" }, [], "it takes embedded, or mqtt://… or mqtts://…"],
  [
    "another database",
    { MUSTER_DATABASE_URL: "postgres://x" },
    [],
    "MUSTER_DATABASE_URL is not one; it takes memory:, sqlite:<path> or mysql://",
  ],
  ["a topic prefix with a wildcard", { MUSTER_TOPIC_PREFIX: "a/+" }, [], "MUSTER_TOPIC_PREFIX"],
  [
    "a CA for plain MQTT",
    { MUSTER_BROKER_URL: "mqtt://host", MUSTER_BROKER_CA: "ca.pem" },
    [],
    "MUSTER_BROKER_CA is for mqtts:, and the broker is mqtt://host",
  ],
  [
    "a key without its certificate",
    { MUSTER_BROKER_URL: "mqtts://host", MUSTER_BROKER_KEY: "ca.pem" },
    [],
    "are given both or not at all",
  ],
  [
    "a start that lives too short",
    { MUSTER_START_TTL_INTERVALS: "2.9" },
    [],
    "which must be at least three heartbeats: 30000 ms",
  ],
  [
    "a start that lives too short for a lease",
    { MUSTER_START_TTL_INTERVALS: "3", MUSTER_DATABASE_URL: "mysql://u:p@h/d" },
    [],
    "at least three heartbeats and one lease renewal (MUSTER_LEASE_RENEW_MS): 32000 ms",
  ],
  [
    "a start that lives too long",
    { MUSTER_START_TTL_INTERVALS: "5" },
    [],
    "at most half of the time after which a worker is lost (MUSTER_WORKER_LOST_INTERVALS): 37500 ms",
  ],
  ["unreachable after lost", { MUSTER_UNREACHABLE_INTERVALS: "9" }, [], "must be below MUSTER_WORKER_LOST_INTERVALS"],
  [
    "memory in production",
    { MUSTER_PRODUCTION: "yes", MUSTER_DATABASE_URL: "memory:" },
    [],
    "refuses MUSTER_DATABASE_URL=memory:",
  ],
  [
    "plain HTTP in production",
    { MUSTER_HTTP_HOST: "0.0.0.0" },
    ["--production"],
    "refuses plain HTTP beyond this host, and MUSTER_HTTP_HOST is 0.0.0.0",
  ],
  [
    "plain MQTT in production",
    { MUSTER_BROKER_HOST: "0.0.0.0" },
    ["--production"],
    "refuses plain MQTT beyond this host, and MUSTER_BROKER_HOST is 0.0.0.0",
  ],
])("a manager does not start with %s", (_name, env, argv, sentence) => {
  file("ca.pem", "-----BEGIN CERTIFICATE-----\n");
  const stop = stopOf(() => manager(env, argv));
  expect(stop.exitCode).toBe(2);
  expect(stop.message).toContain(sentence);
});

test.each([
  ["an embedded broker", { MUSTER_BROKER_URL: "embedded" }, "only a manager has a broker inside"],
  ["another's username", { MUSTER_WORKER_ID: "a", MUSTER_BROKER_USERNAME: "b" }, "a worker logs in under its id"],
  ["the manager's name", { MUSTER_WORKER_ID: "manager" }, "that name is the manager's own"],
  ["a bad label", { MUSTER_WORKER_LABELS: "zone" }, 'MUSTER_WORKER_LABELS is "zone"; it takes labels as key=value,key=value'],
  ["a label twice", { MUSTER_WORKER_LABELS: "a=1,a=2" }, "no key twice"],
  [
    "metrics for everybody in production",
    { MUSTER_PRODUCTION: "yes", MUSTER_METRICS_PORT: "7072", MUSTER_METRICS_HOST: "0.0.0.0" },
    "refuses plain HTTP beyond this host, and MUSTER_METRICS_HOST is 0.0.0.0",
  ],
  ["a relative driver", { MUSTER_DRIVERS: "x.ts" }, "absolute paths of modules"],
  [
    "a file that is not PEM",
    { MUSTER_BROKER_URL: "mqtts://h", MUSTER_BROKER_CA: "not.pem" },
    "MUSTER_BROKER_CA: the file not.pem is not PEM",
  ],
])("a worker does not start with %s", (_name, env, sentence) => {
  file("not.pem", "hello");
  expect(stopOf(() => worker(env)).message).toContain(sentence);
});

test.each([
  ["an unknown key", "http: { prot: 1 }", "http.prot in muster.yaml is not a key of Muster; did you mean http.port?"],
  ["an unknown group", "htp: { port: 1 }", "htp in muster.yaml is not a key of Muster"],
  ["a value where a group is", "http: 7", "http in muster.yaml must be a map of keys"],
  ["a list", "- 1", "muster.yaml must be a map of keys"],
  ["a bad value", "http: { port: [1] }", "http.port in muster.yaml is [1]; it takes a port"],
  ["a key twice", "pool: a\npool: b", "muster.yaml: Map keys must be unique at line 2"],
  ["broken YAML", "http: {", "muster.yaml: "],
])("muster.yaml with %s stops the start", (_name, text, sentence) => {
  file("muster.yaml", text);
  expect(stopOf(() => manager()).message).toContain(sentence);
});

test("every mistake is said at once, and nothing was made", () => {
  const lines = stopOf(() => manager({ MUSTER_HTTP_PORT: "x", MUSTER_POOLS: "a b", MUSTER_WRONG: "1" })).message.split("\n");
  expect(lines).toHaveLength(3);
  expect(() => statSync(join(cwd, "data"))).toThrow("ENOENT");
});

test("--help lists every key of the reader, with the name that reading takes", () => {
  const stop = stopOf(() => worker({ MUSTER_WRONG: "1" }, ["--help"]));
  expect(stop.exitCode).toBe(0);
  for (const key of Object.values<Key>(keys)) {
    expect(stop.message.includes(`--${flagOf(key)}  ${key.env}\n`), key.env).toBe(key.readers.includes("worker"));
  }
  expect(stop.message).toContain("--health");
});

test("--health and --stop-runs stand alone", () => {
  expect(worker({}, ["--health"]).health).toBe(true);
  expect(worker({}, ["--stop-runs"]).stopRuns).toBe(true);
  expect(worker({ MUSTER_STOP_RUNS: "no" }).stopRuns).toBe(false);
});

test("certificates are read", () => {
  file("ca.pem", "-----BEGIN CERTIFICATE-----\nca");
  file("cert.pem", "-----BEGIN CERTIFICATE-----\ncert");
  file("key.pem", "-----BEGIN PRIVATE KEY-----\nkey");
  const env = {
    MUSTER_BROKER_URL: "mqtts://host:8883",
    MUSTER_BROKER_CA: "ca.pem",
    MUSTER_BROKER_CERT: "cert.pem",
    MUSTER_BROKER_KEY: "key.pem",
  };
  expect(worker(env).broker).toMatchObject({
    url: "mqtts://host:8883",
    ca: "-----BEGIN CERTIFICATE-----\nca",
    cert: "-----BEGIN CERTIFICATE-----\ncert",
  });
  expect(manager(env).broker).toMatchObject({ kind: "remote", username: "manager", key: "-----BEGIN PRIVATE KEY-----\nkey" });
});
