import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { addClient } from "../../broker/credentials.ts";
import { runBroker } from "../../broker/main.ts";
import { mqttConnector } from "../../broker/mqtt.ts";
import { silentLog } from "../../schema/kit/log.ts";
import { hear } from "./rig.ts";

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "muster-broker-"));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

const config = () => ({ dataDir, host: "127.0.0.1", port: 0, prefix: "t", logLevel: "info", tls: null });
const command = fileURLToPath(new URL("../../broker/main.ts", import.meta.url));

test("it lets in those of its data folder, one that is added later as well", async () => {
  await using broker = await runBroker(config(), silentLog());
  const password = addClient(join(dataDir, "credentials.json"), { username: "edge-a", pool: "default", role: "worker" });
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const worker = await hear(mqttConnector({ url, username: "edge-a", password }), "edge-a");
  await worker.close();
  await expect(hear(mqttConnector({ url, username: "edge-a", password: "another" }), "edge-a")).rejects.toThrow(
    "wrong username or password",
  );
});

test("a damaged file of credentials stops the start", async () => {
  writeFileSync(join(dataDir, "credentials.json"), "{");
  await expect(runBroker(config(), silentLog())).rejects.toThrow("is damaged");
});

test("the command serves until SIGTERM and then ends well", async () => {
  const child = spawn(process.execPath, [command, "--data-dir", dataDir, "--broker-port", "0"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    lines.push(line);
    if (line.includes("broker is up")) child.kill("SIGTERM");
  }
  const code = await new Promise((resolve) => (child.exitCode === null ? child.once("exit", resolve) : resolve(child.exitCode)));
  expect(lines.join("\n")).toContain("broker is up");
  expect(code).toBe(0);
});

test("the command refuses a setting that it does not know, and helps when asked", async () => {
  const run = (...argv: string[]) =>
    new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
      execFile(process.execPath, [command, ...argv], { cwd: dataDir }, (error, stdout, stderr) =>
        resolve({ code: error?.code ?? 0, stdout, stderr }),
      );
    });
  const wrong = await run("--broker-port", "seven");
  expect(wrong).toMatchObject({ code: 2, stdout: "" });
  expect(wrong.stderr).toContain("--broker-port");
  const help = await run("--help");
  expect(help).toMatchObject({ code: 0, stderr: "" });
  expect(help.stdout).toContain("--broker-port");
});

test("the command says in one line what it cannot do, and exits 1", async () => {
  writeFileSync(join(dataDir, "credentials.json"), "{");
  const ended = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
    execFile(process.execPath, [command, "--data-dir", dataDir, "--broker-port", "0"], (error, _stdout, stderr) =>
      resolve({ code: error?.code, stderr }),
    );
  });
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(/^muster broker: the credentials file .* is damaged .*\n$/);
});
