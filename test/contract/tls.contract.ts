/** `mqtts://` with client certificates, as manager and worker are configured for it, whichever broker is behind. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { mqttConnector } from "../../broker/mqtt.ts";
import { readManagerConfig } from "../../manager/config.ts";
import { uplinkFilter, uplinkTopic } from "../../schema/topics.ts";
import { readWorkerConfig } from "../../worker/config.ts";
import { bytes, hear, text, type Heard } from "../broker/rig.ts";
import type { ServerTls } from "../kit/broker-server.ts";
import type { BrokerAt } from "../kit/together.ts";
import { until } from "../kit/until.ts";

/** Where the test's certificates are: `ca` signed `server` and `client`; `other` signed itself. */
export const pemFile = (name: string): string => join(import.meta.dirname, "../broker/tls", name);

const serverTls: ServerTls = { cert: pemFile("server.pem"), key: pemFile("server.key"), ca: pemFile("ca.pem") };

/** `start`: with a worker `edge-a`. `missing`: why this broker cannot be run here; its tests are then skipped with that reason. */
export function tlsContract(
  name: string,
  start: (tls: ServerTls) => Promise<BrokerAt & AsyncDisposable>,
  missing?: string,
): void {
  describe(`TLS: ${name}`, () => {
    const undo: (() => unknown)[] = [];
    afterEach(async () => {
      for (const act of undo.splice(0).toReversed()) await act();
    });
    const tlsTest = (title: string, act: () => Promise<void>): void => {
      test(title, async (ctx) => {
        if (missing !== undefined) ctx.skip(missing);
        await act();
      });
    };
    const broker = async (tls: ServerTls = serverTls): Promise<BrokerAt> => {
      const started = await start(tls);
      undo.push(() => started[Symbol.asyncDispose]());
      return started;
    };
    const folder = (): string => {
      const made = mkdtempSync(join(tmpdir(), "muster-tls-"));
      undo.push(() => rmSync(made, { recursive: true }));
      return made;
    };
    /** A worker's connection, with these files. */
    const enter = (at: BrokerAt, files: { readonly ca?: string; readonly certificate?: string }): Promise<Heard> => {
      const env = {
        MUSTER_DATA_DIR: folder(),
        MUSTER_WORKER_ID: "edge-a",
        MUSTER_BROKER_URL: `mqtts://127.0.0.1:${at.port}`,
        MUSTER_BROKER_PASSWORD: at.password("edge-a"),
        MUSTER_BROKER_CA: files.ca && pemFile(files.ca),
        MUSTER_BROKER_CERT: files.certificate && pemFile(`${files.certificate}.pem`),
        MUSTER_BROKER_KEY: files.certificate && pemFile(`${files.certificate}.key`),
      };
      return hear(mqttConnector(readWorkerConfig([], env, tmpdir()).broker), "edge-a");
    };

    tlsTest("manager and worker with certificates of the broker's authority are let in, and messages pass", async () => {
      const at = await broker();
      const env = {
        MUSTER_DATA_DIR: folder(),
        MUSTER_BROKER_URL: `mqtts://localhost:${at.port}`,
        MUSTER_BROKER_PASSWORD: at.password("manager"),
        MUSTER_BROKER_CA: pemFile("ca.pem"),
        MUSTER_BROKER_CERT: pemFile("client.pem"),
        MUSTER_BROKER_KEY: pemFile("client.key"),
      };
      const config = readManagerConfig([], env, tmpdir());
      if (config.broker.kind !== "remote") throw new Error("the broker is not embedded here");
      const manager = await hear(mqttConnector(config.broker), "manager");
      await manager.subscribe(uplinkFilter("muster", "default"));
      const worker = await enter(at, { ca: "ca.pem", certificate: "client" });
      await worker.publish(uplinkTopic("muster", "default", "edge-a", "reports"), bytes("hello"), { qos: 1 });
      await until("the message", () => manager.deliveries.length === 1);
      expect(text(manager.deliveries[0])).toBe("hello");
      await worker.close();
      await manager.close();
    });

    tlsTest("a client without a certificate is refused, and the sentence speaks of certificates", async () => {
      await expect(enter(await broker(), { ca: "ca.pem" })).rejects.toThrow(
        /^no connection to the broker at mqtts:\/\/127\.0\.0\.1:\d+: it .*wants? (a client certificate|one)/,
      );
    });

    tlsTest("a client with a certificate of another authority is refused, and the sentence speaks of certificates", async () => {
      await expect(enter(await broker(), { ca: "ca.pem", certificate: "other" })).rejects.toThrow(
        /^no connection to the broker at mqtts:\/\/127\.0\.0\.1:\d+: it (does not accept this client's certificate|.*wants? a client certificate)/,
      );
    });

    tlsTest("a certificate is no password", async () => {
      const at = await broker();
      const wrong: BrokerAt = { port: at.port, password: () => "another password" };
      await expect(enter(wrong, { ca: "ca.pem", certificate: "client" })).rejects.toThrow(
        /refused the connection: (wrong username|not authorized)/,
      );
    });

    tlsTest("a broker that cannot be verified is not talked to: an unknown authority, another host's certificate", async () => {
      const at = await broker();
      await expect(enter(at, { certificate: "client" })).rejects.toThrow(
        /: its certificate is not signed by an authority that is trusted here; give its CA/,
      );
      const elsewhere = await broker({ ...serverTls, cert: pemFile("client.pem"), key: pemFile("client.key") });
      await expect(enter(elsewhere, { ca: "ca.pem", certificate: "client" })).rejects.toThrow(
        ": its certificate is for another host name",
      );
    });
  });
}
