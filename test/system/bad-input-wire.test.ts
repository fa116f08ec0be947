import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Connection } from "../../broker/broker.ts";
import { addClient } from "../../broker/credentials.ts";
import { mqttConnector } from "../../broker/mqtt.ts";
import { commandsTopic, downlinkFilter, uplinkTopic, type UplinkKind } from "../../schema/topics.ts";
import { startBystander, type Bystander } from "../kit/bystander.ts";
import { Fleet, type Member } from "../kit/fleet.ts";
import { jsonLines } from "../kit/json-lines.ts";
import { until } from "../kit/until.ts";
import { newcomer } from "../kit/hello.ts";

/** More than any bound, so that it is the broker that says no and not our own client. */
const unbounded = 10_000_000;

let fleet: Fleet;
let worker: Member;
let bystander: Bystander;
/** A worker whose agent is this test, and a manager likewise: each with credentials of its own. */
let odd: Connection;
let boss: Connection;
/** What the manager sent to the odd worker. */
const toOdd: any[] = [];
let oddPassword: string;

beforeAll(async () => {
  fleet = await Fleet.start();
  worker = await fleet.startWorker("a");
  bystander = await startBystander(fleet);
  oddPassword = addClient(credentials(), { username: "odd", pool: "default", role: "worker" });
  odd = await dial("odd", oddPassword);
  boss = await dial("boss", addClient(credentials(), { username: "boss", pool: "default", role: "manager" }));
  await odd.subscribe(downlinkFilter("muster", "default", "odd"));
});
afterAll(() => fleet[Symbol.asyncDispose]());

const credentials = (): string => `${fleet.folder}/manager/credentials.json`;

function dial(username: string, password: string): Promise<Connection> {
  const url = `mqtt://127.0.0.1:${fleet.brokerPort}`;
  const take = ({ payload }: { readonly payload: Uint8Array }): void =>
    void toOdd.push(...JSON.parse(Buffer.from(payload).toString()).items);
  return mqttConnector({ url, username, password, maxPayloadBytes: unbounded }).connect(
    { clientId: username, take },
    new AbortController().signal,
  );
}

const bytesOf = (body: unknown): Uint8Array =>
  body instanceof Uint8Array ? body : Buffer.from(typeof body === "string" ? body : JSON.stringify(body));

const up = (kind: UplinkKind, body: unknown, as = "odd"): Promise<void> =>
  odd.publish(uplinkTopic("muster", "default", as, kind), bytesOf(body), { qos: 1 });

const linesOf = (member: Member | undefined): any[] => jsonLines(member?.logFile ?? "");

/** Does it, and waits for a new line of that process's log that holds these. */
async function logs(member: Member | undefined, act: () => Promise<void>, line: Record<string, unknown>): Promise<void> {
  const before = linesOf(member).length;
  await act();
  const holds = (one: Record<string, unknown>): boolean =>
    Object.entries(line).every(([name, want]) => (want instanceof RegExp ? want.test(String(one[name])) : one[name] === want));
  await until(`a log line with ${Object.values(line).join(", ")}`, () => linesOf(member).slice(before).some(holds));
}

const epoch = "odd_odd_odd_.1.nonce_nonce_";
const journal = "odd_odd_odd_";
const head = { v: 1, epoch, connection: 1, mono: 1_000 };
const facts = {
  os: "linux",
  arch: "x64",
  hostname: "odd",
  cpus: 1,
  memoryMb: 1,
  interpreters: {},
  drivers: [],
  agentVersion: "0",
  bootId: "b",
};
const hello = {
  ...head,
  facts,
  labels: {},
  capacity: { slots: 0, memoryMb: 0, cpus: 0 },
  ...newcomer,
};
const deep = `${"[".repeat(30_000)}${"]".repeat(30_000)}`;
const ended = { start: 1, kind: "end", at: 1, end: { how: "exited", code: 0 } };
const acked = (seq: number): Promise<unknown> =>
  until(`an ack of ${seq}`, () => toOdd.some((item) => item.kind === "ack" && item.seq === seq));

describe("what a worker sends that cannot be read is one line of the manager's log, and nothing else", () => {
  test.for<[what: string, kind: UplinkKind, body: unknown, why: RegExp]>([
    ["no JSON", "hello", "nonsense", /^it is not JSON: /],
    ["invalid UTF-8", "heartbeat", Uint8Array.of(0x7b, 0xff, 0x7d), /^it is not JSON: .*utf-8/i],
    ["a later version", "hello", { ...hello, v: 2 }, /^it speaks protocol version 2, this manager 1$/],
    ["fields that do not fit", "reports", { ...head, mono: -5, journal: "x", items: [] }, /^mono: .*; journal: /],
    ["nothing but null", "heartbeat", "null", /./],
    ["nesting that would exhaust a stack", "hello", deep, /nested deeper than 72 levels/],
  ])("%s", async ([, kind, body, why]) => {
    await logs(fleet.manager, () => up(kind, body), {
      level: "warn",
      outcome: "unreadable",
      topic: `muster/v1/default/odd/up/${kind}`,
      why,
    });
  });

  test("for another worker: denied by the broker", async () => {
    await logs(fleet.manager, () => up("hello", hello, "a"), {
      clientId: "odd",
      topic: "muster/v1/default/a/up/hello",
      msg: /^denied a publish: a worker publishes only muster\/v1\/default\/odd\/up\//,
    });
  });

  test.for([70_000, 2_000_000])("%i bytes: the connection is cut before they are read", async (size) => {
    const flood = await dial("odd", oddPassword);
    const cut = (): Promise<void> =>
      flood
        .publish(uplinkTopic("muster", "default", "odd", "heartbeat"), Buffer.alloc(size, "x"), { qos: 0 })
        .catch(() => undefined);
    await logs(fleet.manager, cut, { level: "warn", msg: /^cut a connection: a packet is over the bound of 66560 bytes$/ });
    expect(await flood.closed).toMatch(/broke|closed/);
    odd = await dial("odd", oddPassword);
    await odd.subscribe(downlinkFilter("muster", "default", "odd"));
  });
});

describe("what a worker says of attempts that are not its own changes nothing of them", () => {
  test("of one that nobody knows: shown as found, and acknowledged", async () => {
    await up("hello", hello);
    await until("the sync", () => toOdd.some((item) => item.kind === "sync" && item.epoch === epoch && !item.refused));
    await up("reports", { ...head, journal, items: [{ seq: 1, attempt: "nobodys", ...ended }] });
    await acked(1);
    const events = await fleet.call("GET", "/events?workerId=odd&kind=attemptFound");
    expect(events.body.items).toMatchObject([{ attemptId: "nobodys", runId: null }]);
  });

  test("of another worker's: noted, and acknowledged", async () => {
    const report = (): Promise<void> =>
      up("reports", { ...head, journal, items: [{ seq: 2, attempt: bystander.attemptId, ...ended }] });
    await logs(fleet.manager, report, {
      what: "strangeReport",
      attemptId: bystander.attemptId,
      detail: "the attempt is bound to worker a",
    });
    await acked(2);
    expect((await fleet.run(bystander.id)).state).toBe("running");
  });

  test("output for another worker's attempt, or for none, is dropped", async () => {
    for (const attempt of [bystander.attemptId, "nobodys"]) {
      const bytes = Buffer.from("forged").toString("base64");
      const forge = (): Promise<void> => up("logs", { ...head, attempt, start: 1, stream: "stdout", offset: 0, bytes });
      await logs(fleet.manager, forge, { level: "warn", attemptId: attempt, msg: /not this worker's is dropped/ });
    }
  });

  test("an item that cannot be read is set aside by its seq, with an event, and its neighbours are taken", async () => {
    const bad = { seq: 3, attempt: "a b", start: 1, kind: "vanished", at: 1 };
    const text = JSON.stringify({
      ...head,
      journal,
      items: [bad, { seq: 4, attempt: "deep", ...ended, result: 0 }, { seq: 5, attempt: "later", ...ended }, 7],
    });
    await logs(fleet.manager, () => up("reports", text.replace('"result":0', `"result":${deep}`)), {
      outcome: "unreadable",
      why: /items without a readable seq/,
    });
    await acked(5);
    const aside = await fleet.call("GET", "/events?workerId=odd&kind=setAside");
    expect(aside.body.items.map((event: { data: unknown }) => event.data)).toEqual([
      { seq: 3, why: expect.stringContaining("1 to 36 characters of A-Z a-z 0-9 _ -") },
      { seq: 4, why: "it is nested deeper than 72 levels" },
    ]);
    expect((await fleet.call("GET", "/events?workerId=odd&kind=attemptFound")).body.items.at(-1)).toMatchObject({
      attemptId: "later",
    });
  });
});

describe("what a worker is sent that it cannot read is counted and set aside", () => {
  const down = (body: unknown): Promise<void> => boss.publish(commandsTopic("muster", "default", "a"), bytesOf(body), { qos: 1 });
  const strange = { epoch: "another_one_.1.another_one_", mono: 1 };

  test.for<[what: string, body: unknown, outcome: RegExp]>([
    ["no JSON", "nonsense", /^unreadable: not JSON: /],
    ["invalid UTF-8", Uint8Array.of(0x7b, 0xff, 0x7d), /^unreadable: not JSON: /],
    [
      "a later version",
      { v: 9, term: 1, asOf: strange, items: [] },
      /^speaks version 9 of the protocol, which this worker does not$/,
    ],
    ["fields that are missing", { v: 1, term: 1, items: [] }, /^unreadable: asOf: /],
  ])("%s", async ([, body, outcome]) => {
    await logs(worker, () => down(body), { level: "warn", msg: "a message was set aside", outcome });
  });

  test("items that cannot be read, and a stop for another life of it, stop nothing", async () => {
    const text = JSON.stringify({ v: 1, term: 1, asOf: strange, items: [{ kind: "start", attempt: "x" }, { kind: "dance" }, 0] });
    await logs(worker, () => down(text.replace(/0\]\}$/, `${deep}]}`)), {
      msg: /^an item of a command was unreadable/,
      why: /^item 2: /,
    });
    const items = [{ kind: "stop", attempt: bystander.attemptId, by: "boss", graceSeconds: 0 }];
    await logs(worker, () => down({ v: 1, term: 99_999, asOf: strange, items }), { msg: "otherEpoch" });
    expect((await fleet.run(bystander.id)).state).toBe("running");
  });

  test("the counts are in the agent's own state file, which its health check reads", async () => {
    await until("the counts", () => {
      const { counts } = JSON.parse(readFileSync(`${fleet.folder}/worker-a/worker/state.json`, "utf8"));
      return counts["unreadable message"] === 3 && counts["future version"] === 1 && counts["unreadable item"] === 3;
    });
  });
});

test("and all the while a run that had nothing to do with it went on", async () => {
  await bystander.endsTruly();
  expect((await fleet.call("GET", "/health")).status).toBe(200);
});
