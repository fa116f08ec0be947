/** The protocol over a real broker: a real manager and real workers, and clients by hand that see what the broker keeps and lets through. */
import { writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Connector } from "../../broker/broker.ts";
import { mqttConnector } from "../../broker/mqtt.ts";
import { wireLimits } from "../../schema/limits.ts";
import { commandsTopic, downlinkFilter, uplinkTopic } from "../../schema/topics.ts";
import { bytes, hear, text, type Heard } from "../broker/rig.ts";
import { Together, type BrokerAt } from "../kit/together.ts";
import { until } from "../kit/until.ts";
import { attack, foreignTopics } from "./foreign.ts";

export interface ProtocolBroker extends BrokerAt, AsyncDisposable {}

/** Workers that the broker must let in. */
export const protocolWorkers = ["edge-a", "edge-b", "edge-c", "edge-d", "edge-e"] as const;

const prefix = "muster";

/** `missing`: why this broker cannot be run here; its tests are then skipped with that reason. */
export function protocolContract(name: string, start: () => Promise<ProtocolBroker>, missing?: string): void {
  describe(`the protocol: ${name}`, () => {
    let broker: ProtocolBroker;
    let system: Together;
    let witness: string;
    beforeAll(async () => {
      if (missing !== undefined) return;
      broker = await start();
      system = await Together.start(broker);
      witness = `${system.folder}/witness`;
    });
    afterEach(async () => {
      await system?.closeWorkers();
    });
    afterAll(async () => {
      await system?.[Symbol.asyncDispose]();
      await broker?.[Symbol.asyncDispose]();
    });
    const protocolTest = (title: string, act: () => Promise<void>): void => {
      test(title, async (ctx) => {
        if (missing !== undefined) ctx.skip(missing);
        await act();
      });
    };
    const client = (username: string): Connector =>
      mqttConnector({ url: `mqtt://127.0.0.1:${broker.port}`, username, password: broker.password(username) });
    let observers = 0;
    /** A client with a manager's rights that hears these topics. */
    const observer = async (...topics: readonly string[]): Promise<Heard> => {
      const heard = await hear(client("manager"), `manager.observer-${(observers += 1)}`);
      for (const topic of topics) await heard.subscribe(topic);
      return heard;
    };
    const statusTopic = (id: string): string => uplinkTopic(prefix, "default", id, "status");
    const lastStatus = (heard: Heard): string | undefined => {
      const last = heard.deliveries.at(-1);
      return last && (JSON.parse(text(last)) as { st: string }).st;
    };

    protocolTest(
      "a worker says hello, is synced and online; its status is kept for who comes later, also when it leaves",
      async () => {
        const worker = await system.place("edge-a");
        await until("it to be online", async () => (await system.get("/workers/edge-a"))["state"] === "online");
        const later = await observer(statusTopic("edge-a"));
        await until("the kept status", () => lastStatus(later) === "on");
        expect(later.deliveries[0]).toMatchObject({ retained: true });
        await worker.close();
        await until("the goodbye", () => lastStatus(later) === "off");
        await later.close();
        await until("it to be unreachable", async () => (await system.get("/workers/edge-a"))["state"] === "unreachable");
      },
    );

    protocolTest("a start runs to its end once, with its exit code, output and result", async () => {
      await system.place("edge-a");
      const script = `echo "$MUSTER_RUN_ID" >> ${witness}; echo out; echo err >&2; echo '{"n":3}' > "$MUSTER_RESULT"; exit 7`;
      const runId = await system.script("edge-a", script);
      expect(await system.ended(runId)).toMatchObject({ state: "failed", end: { how: "exited", code: 7 }, result: { n: 3 } });
      await until("its output", async () => (await system.text(`/runs/${runId}/logs?stream=stdout`)) === "out\n");
    });

    protocolTest("40 starts at once over three workers: one start and a true end each", async () => {
      await Promise.all(["edge-a", "edge-b", "edge-c"].map((id) => system.place(id)));
      const file = `${witness}-burst`;
      const run = { driver: "script", interpreter: "sh", script: `echo "$MUSTER_RUN_ID" >> ${file}; exit $PARAM_code` };
      const task = await system.post("/tasks", { name: "burst", params: { code: "0" }, run });
      const items = Array.from({ length: 40 }, (_, n) => ({ taskId: task["id"], params: { code: String(n % 3) } }));
      const started = (await system.post("/runs", { items }))["items"] as { run: { id: string } }[];
      for (const [n, { run: one }] of started.entries())
        expect(await system.ended(one.id)).toMatchObject({ end: { how: "exited", code: n % 3 } });
      expect(await lines(file)).toEqual(started.map(({ run: one }) => one.id).toSorted());
    });

    protocolTest("a stop ends what runs", async () => {
      await system.place("edge-a");
      const runId = await system.script("edge-a", "exec sleep 600");
      await system.state(runId, "running");
      await system.post(`/runs/${runId}/stop`, {});
      expect(await system.ended(runId)).toMatchObject({ state: "stopped", end: { how: "stopped" } });
    });

    protocolTest("300,000 bytes of output arrive whole and in order", async () => {
      await system.place("edge-a");
      const runId = await system.script("edge-a", "i=10000; while [ $i -lt 60000 ]; do echo $i; i=$((i+1)); done");
      expect(await system.ended(runId)).toMatchObject({ state: "succeeded" });
      const expected = Array.from({ length: 50_000 }, (_, n) => `${n + 10_000}\n`).join("");
      // A follower is answered once the end is known and nothing more comes.
      expect((await system.text(`/runs/${runId}/logs?follow=true`)) === expected).toBe(true);
    });

    protocolTest(
      "a cut is told by the last will, is kept, and harms nothing that runs: the worker comes back with it",
      async () => {
        const worker = await system.place("edge-a");
        const gate = `${system.folder}/gate`;
        const file = `${witness}-cut`;
        const runId = await system.script("edge-a", `echo x >> ${file}; while [ ! -e ${gate} ]; do sleep 0.05; done; exit 5`);
        await system.state(runId, "running");
        const live = await observer(statusTopic("edge-a"));
        await until("the status before", () => lastStatus(live) === "on");
        worker.wire.drop();
        await until("the will", () => live.deliveries.some((one) => text(one).includes('"gone"')));
        await until("the worker to be back", () => lastStatus(live) === "on" && live.deliveries.length >= 3);
        await until("its sync", () => worker.worker.view().synced);
        writeFileSync(gate, "");
        expect(await system.ended(runId)).toMatchObject({ end: { how: "exited", code: 5 } });
        expect(await lines(file)).toEqual(["x"]);
        await live.close();
        await worker.close();
      },
    );

    protocolTest("a start near the bound of one message, and messages at the bound, pass both ways", async () => {
      await system.place("edge-a");
      const script = `# ${"x".repeat(30_000)}\necho '"${"y".repeat(30_000)}"' > "$MUSTER_RESULT"\n`;
      const runId = await system.script("edge-a", script);
      const run = await system.ended(runId);
      expect(run["state"]).toBe("succeeded");
      expect(run["result"]).toBe("y".repeat(30_000));
      const large = Buffer.alloc(wireLimits.payloadBytes, "z");
      const down = await hear(client("edge-b"), "edge-b");
      await down.subscribe(downlinkFilter(prefix, "default", "edge-b"));
      const up = await observer(uplinkTopic(prefix, "default", "edge-b", "logs"));
      await up.publish(commandsTopic(prefix, "default", "edge-b"), large, { qos: 1 });
      await down.publish(uplinkTopic(prefix, "default", "edge-b", "logs"), large, { qos: 1 });
      await until("both", () => up.deliveries.length === 1 && down.deliveries.length === 1);
      for (const { deliveries } of [up, down]) expect(Buffer.compare(Buffer.from(deliveries[0]!.payload), large)).toBe(0);
      await up.close();
      await down.close();
    });

    protocolTest("1,500 messages to a worker that is away do no harm: it comes, hears none of them, and works", async () => {
      const from = await observer();
      const stale = JSON.stringify({ v: 1, term: 1, asOf: { epoch: "none", mono: 0 }, items: [{ kind: "drain", on: true }] });
      const topic = commandsTopic(prefix, "default", "edge-c");
      await Promise.all(Array.from({ length: 1_500 }, () => from.publish(topic, bytes(stale), { qos: 1 })));
      const listener = await hear(client("edge-c"), "edge-c");
      await listener.subscribe(downlinkFilter(prefix, "default", "edge-c"));
      await from.publish(topic, bytes("after"), { qos: 1 });
      await until("a message", () => listener.deliveries.length > 0);
      expect(listener.deliveries.map(text)).toEqual(["after"]);
      await listener.close();
      const worker = await system.place("edge-c");
      expect(await system.ended(await system.script("edge-c", "exit 0"))).toMatchObject({ state: "succeeded" });
      expect(worker.worker.view().draining).toBe(false);
      await from.close();
    });

    protocolTest("a second agent under the same id disturbs nothing that runs, and is told so", async () => {
      await system.place("edge-d");
      const gate = `${system.folder}/gate-double`;
      const file = `${witness}-double`;
      const runId = await system.script("edge-d", `echo x >> ${file}; while [ ! -e ${gate} ]; do sleep 0.05; done; exit 6`);
      await system.state(runId, "running");
      const double = await system.double("edge-d");
      await until("the second to be refused", () => double.worker.view().refused !== null);
      expect(double.worker.view().refused).toContain("duplicate worker id");
      expect(double.worker.view().live).toEqual([]);
      await double.close();
      writeFileSync(gate, "");
      expect(await system.ended(runId)).toMatchObject({ end: { how: "exited", code: 6 } });
      expect(await lines(file)).toEqual(["x"]);
    });

    protocolTest("200 tries with another worker's password (publish, retain, will, subscribe) deliver nothing", async () => {
      const victim = await hear(client("edge-a"), "edge-a");
      await victim.subscribe(downlinkFilter(prefix, "default", "edge-a"));
      const everybody = await observer(
        `${prefix}/v1/default/+/up/+`,
        `${prefix}/v1/other/+/up/+`,
        `${prefix}/v1/default/+/down/+`,
      );
      const heardBy = await attack({ broker, username: "edge-e", prefix, victim: "edge-a" });
      // What an honest client says afterwards arrives after everything that got through.
      await everybody.publish(commandsTopic(prefix, "default", "edge-a"), bytes("secret"), { qos: 1 });
      await victim.publish(uplinkTopic(prefix, "default", "edge-a", "reports"), bytes("secret"), { qos: 1 });
      const seen = (heard: Heard): string[] => heard.deliveries.map((one) => `${one.topic} ${text(one)}`);
      const said = (): string[] => seen(everybody).filter((line) => line.endsWith(" secret"));
      await until("what the honest say", () => victim.deliveries.length > 0 && said().length === 2);
      expect(victim.deliveries.map(text)).toEqual(["secret"]);
      expect(seen(everybody).filter((line) => line.includes("evil"))).toEqual([]);
      expect(heardBy.flatMap(seen)).toEqual([]);
      const kept = await observer(...foreignTopics(prefix, "edge-a").filter((topic) => topic.startsWith(`${prefix}/v1/`)));
      await kept.publish(commandsTopic(prefix, "default", "edge-a"), bytes("last"), { qos: 1 });
      await until("the last", () => kept.deliveries.some((one) => text(one) === "last"));
      expect(seen(kept).filter((line) => line.includes("evil"))).toEqual([]);
      for (const one of [victim, everybody, kept, ...heardBy]) await one.close();
    });
  });
}

async function lines(file: string): Promise<string[]> {
  const { readFile } = await import("node:fs/promises");
  return (await readFile(file, "utf8")).trimEnd().split("\n").toSorted();
}
