/** A system of the demo's own: `npm start` in a temporary folder, on free ports, gone afterwards. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultPool } from "../../schema/ids.ts";
import { environmentWithoutMuster, type ClientConfig } from "../config.ts";

export interface OwnSystem extends AsyncDisposable {
  readonly client: ClientConfig;
  readonly pool: string;
}

async function freePorts(): Promise<readonly [number, number]> {
  const servers = [createServer(), createServer()] as const;
  for (const server of servers) await once(server.listen(0, "127.0.0.1"), "listening");
  const [a, b] = servers.map((server) => (server.address() as AddressInfo).port) as [number, number];
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  return [a, b];
}

/** Others may take the ports that were free a moment ago. */
const tries = 3;

/** Starts it and resolves when it is up; rejects with what it said when it does not come up. */
export async function startOwnSystem(): Promise<OwnSystem> {
  for (let left = tries - 1; ; left -= 1) {
    const started = await start();
    if ("system" in started) return started.system;
    const portWasTaken = /set MUSTER_(HTTP|BROKER)_PORT/.test(started.said);
    if (left === 0 || !portWasTaken) throw new Error(`the demo's own system did not come up:\n${started.said.trim()}`);
  }
}

async function start(): Promise<{ readonly system: OwnSystem } | { readonly said: string }> {
  const folder = mkdtempSync(join(tmpdir(), "muster-demo-"));
  const [httpPort, brokerPort] = await freePorts();
  const token = `mst_${randomBytes(32).toString("base64url")}`;
  const child = spawn(
    process.execPath,
    ["--import", join(import.meta.dirname, "../follow-parent.ts"), join(import.meta.dirname, "../start.ts")],
    {
      cwd: folder,
      detached: process.platform !== "win32",
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: {
        ...environmentWithoutMuster(),
        MUSTER_DATA_DIR: join(folder, "data"),
        MUSTER_HTTP_PORT: String(httpPort),
        MUSTER_BROKER_PORT: String(brokerPort),
        MUSTER_ADMIN_TOKEN: token,
        MUSTER_STOP_RUNS: "yes",
      },
    },
  );
  const exited = once(child, "exit");
  const dispose = async (): Promise<void> => {
    child.kill("SIGTERM");
    await exited;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  // Ctrl-C in the middle of the demo must not leave a system and a folder behind.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void dispose().then(() => process.exit(1)));
  let said = "";
  const up = new Promise<boolean>((resolve) => {
    const take = (bytes: Buffer): void => {
      said += bytes.toString();
      if (said.includes("is up.")) resolve(true);
    };
    child.stdout?.on("data", take);
    child.stderr?.on("data", take);
    void exited.then(() => resolve(false));
  });
  if (await up)
    return {
      system: { client: { url: `http://127.0.0.1:${httpPort}`, token }, pool: defaultPool, [Symbol.asyncDispose]: dispose },
    };
  await dispose();
  return { said };
}
