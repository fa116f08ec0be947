/** The image was never built here, so what it would do is done: its own commands, as a user without rights, in a copy of the tree. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BrokerServer } from "../kit/broker-server.ts";
import { MariadbServer, mariadbMissing } from "../kit/mariadb.ts";
import { mosquittoMissing, startMosquitto } from "../kit/mosquitto.ts";
import { freePorts } from "../kit/ports.ts";
import { sweep } from "../kit/sweep.ts";
import { until } from "../kit/until.ts";
import { filled, readCompose } from "./compose.ts";
import { readDockerfile, type Stage } from "./dockerfile.ts";

const root = join(import.meta.dirname, "../..");
const [build, image] = readDockerfile(readFileSync(join(root, "Dockerfile"), "utf8")) as [Stage, Stage];
const compose = readCompose(root);

const isRoot = process.getuid?.() === 0;
const nobody = Number(spawnSync("id", ["-u", "nobody"], { encoding: "utf8" }).stdout);

const folder = mkdtempSync(join(tmpdir(), "muster-image-"));
/** What the build stage has in `/muster`. */
const tree = join(folder, "tree");
/** What the image has there. */
const release = join(folder, "muster");
const running: { readonly process: ChildProcess; readonly exited: Promise<number | null> }[] = [];
let httpPort = 0;
let mosquitto: BrokerServer | undefined;
let mariadb: MariadbServer | undefined;

/** The container's environment: the image's own, then the service's, with the network's names and ports as they are here. */
function environment(service: string, values: Readonly<Record<string, string>>): Record<string, string> {
  const places = { "manager:7070": httpPort, "mosquitto:1883": mosquitto?.port ?? 0, "mariadb:3306": mariadb?.port ?? 0 };
  const fromService = Object.entries(compose.services[service]?.environment ?? {}).map(([name, text]) => {
    let here = filled(text, values);
    for (const [place, port] of Object.entries(places)) here = here.replace(place, `127.0.0.1:${port}`);
    return [name, here] as const;
  });
  const volume = compose.services[service]?.volumes?.[0]?.split(":")[0] ?? "data";
  return {
    // The base image has Node 24 as `node`; here that is the pinned one.
    PATH: `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`,
    HOME: folder,
    npm_config_cache: join(folder, "npm-cache"),
    ...image.env,
    ...Object.fromEntries(fromService),
    MUSTER_DATA_DIR: join(folder, volume),
    MUSTER_HTTP_PORT: String(httpPort),
  };
}

const secrets = {
  MUSTER_ADMIN_TOKEN: "admin-token-of-the-image-test-0001",
  MUSTER_WORKER_PASSWORD: "worker-password-of-the-image-test-0001",
  MUSTER_MANAGER_PASSWORD: "manager-password-of-the-image-test-0001",
  MUSTER_DATABASE_PASSWORD: "databasepasswordoftheimagetest0001",
};

/** Runs words as the container's user would; its `/muster` is the folder `release` here, and `/users` a volume. */
function asUser(words: readonly string[], env: Record<string, string>, cwd = release): ChildProcess {
  const [program = "", ...args] = words.map((word) =>
    word.replace(/^\/muster(?=\/)/, release).replace(/^\/users(?=\/)/, join(folder, "broker-users")),
  );
  const id = isRoot ? { uid: nobody, gid: nobody } : {};
  return spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], ...id });
}

async function outcome(child: ChildProcess): Promise<{ readonly code: number | null; readonly said: string }> {
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (more: string) => (said += more));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, said };
}

function startService(name: string): void {
  const child = asUser([...(image.entrypoint ?? []), ...(compose.services[name]?.command ?? [])], environment(name, secrets));
  child.stdout?.resume();
  child.stderr?.resume();
  running.push({ process: child, exited: new Promise((resolve) => child.once("exit", resolve)) });
}

/** The image's health check in this service's container: its exit code. */
async function health(name: string): Promise<number | null> {
  // In a container nobody else listens; here a Muster of this host may, on the broker's usual port.
  const env = { ...environment(name, secrets), MUSTER_BROKER_PORT: "9" };
  return (await outcome(asUser(image.healthcheck ?? [], env))).code;
}

describe("the image", () => {
  test("runs without rights, has a health check, and starts a manager unless told otherwise", () => {
    expect(image.user).toBe("node");
    expect(image.healthcheck).toEqual(["node", "/muster/muster.js", "health"]);
    expect(image.command).toEqual(["manager"]);
    expect(image.from).toBe(build.from);
  });

  test("brings the Node that the lock pins", () => {
    const { optionalDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
      optionalDependencies: Record<string, string>;
    };
    for (const version of Object.values(optionalDependencies)) expect(image.from).toBe(`node:${version}-bookworm-slim`);
  });

  test("lets nothing into its context that it does not copy", () => {
    const allowed = readFileSync(join(root, ".dockerignore"), "utf8")
      .split("\n")
      .filter((line) => line.startsWith("!"))
      .map((line) => line.slice(1));
    const copied = build.copies.flatMap((words) => words.slice(0, -1));
    expect(new Set(copied)).toEqual(new Set(allowed));
  });
});

describe("what image and compose.yaml say, done", () => {
  beforeAll(async () => {
    [httpPort] = (await freePorts(1)) as [number];
    mkdirSync(tree);
    for (const source of build.copies.flatMap((words) => words.slice(0, -1)))
      cpSync(join(root, source), join(tree, source), { recursive: true });
    chmodSync(folder, 0o777);
    chmodSync(tree, 0o777);
    for (const volume of Object.keys(compose.volumes)) {
      mkdirSync(join(folder, volume), { mode: 0o700 });
      if (isRoot) chownSync(join(folder, volume), nobody, nobody);
    }
    // What `npm ci` would bring is here already, by the same lock.
    const [install, ...runs] = build.runs;
    expect(install).toBe("npm ci --ignore-scripts --no-audit");
    symlinkSync(join(root, "node_modules"), join(tree, "node_modules"));
    const built = await outcome(asUser(["sh", "-c", runs.join(" && ")], environment("manager", secrets), tree));
    expect(built.code, built.said).toBe(0);
    expect(image.copies).toEqual([["/muster/dist", "./"]]);
    cpSync(join(tree, "dist"), release, { recursive: true });
    expect(existsSync(join(release, "node_modules"))).toBe(false);
  }, 60_000);

  test("the release carries the licence of what is in it, and its own", () => {
    const notices = readFileSync(join(release, "THIRD-PARTY-LICENSES.txt"), "utf8");
    for (const name of ["hono", "zod", "mqtt", "aedes", "mysql2", "drizzle-orm"])
      expect(notices).toMatch(new RegExp(`^${name} \\d`, "m"));
    expect(readFileSync(join(release, "LICENSE"), "utf8")).toBe(readFileSync(join(root, "LICENSE"), "utf8"));
  });

  afterAll(async () => {
    for (const one of running.toReversed()) {
      one.process.kill("SIGTERM");
      await one.exited;
    }
    await mosquitto?.[Symbol.asyncDispose]();
    await mariadb?.[Symbol.asyncDispose]();
    sweep(folder);
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  test("its commands bring up a manager and a worker on MariaDB and Mosquitto, both healthy, and a script runs", async (ctx) => {
    const missing = mosquittoMissing ?? mariadbMissing();
    if (missing !== undefined) ctx.skip(missing);
    mariadb = await MariadbServer.start();
    await mariadb.admin("CREATE DATABASE muster");
    await mariadb.admin(`ALTER USER 'muster'@'%' IDENTIFIED BY '${secrets.MUSTER_DATABASE_PASSWORD}'`);
    for (const name of ["credentials", "broker-users"]) {
      const done = await outcome(
        asUser([...(image.entrypoint ?? []), ...(compose.services[name]?.command ?? [])], environment(name, secrets)),
      );
      expect(done, done.said).toEqual({ code: 0, said: "" });
    }
    mosquitto = await startMosquitto({}, join(folder, "broker-users/passwd"));
    const listens = compose.services["mosquitto"]?.healthcheck?.test[1] ?? "false";
    const port = mosquitto.port.toString(16).toUpperCase().padStart(4, "0");
    expect(spawnSync("sh", ["-c", listens.replace("075B", port)]).status).toBe(0);
    expect(await health("manager")).toBe(1);
    startService("manager");
    await until("the manager to be healthy", async () => (await health("manager")) === 0, 60_000);
    startService("worker");
    await until("the worker to be healthy", async () => (await health("worker")) === 0, 60_000);

    const call = async (method: string, path: string, body?: unknown): Promise<any> => {
      const response = await fetch(`http://127.0.0.1:${httpPort}${path}`, {
        method,
        headers: { authorization: `Bearer ${secrets.MUSTER_ADMIN_TOKEN}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return await response.json();
    };
    const task = await call("POST", "/tasks", {
      name: "who",
      run: { driver: "script", interpreter: "sh", script: 'id -u > "$MUSTER_RESULT"' },
    });
    const run = await call("POST", `/tasks/${task.id}/start`);
    const ended = await call("GET", `/runs/${run.id}?waitSeconds=30`);
    expect(ended).toMatchObject({ state: "succeeded", workerId: "worker-1" });
    expect(ended.result).toBe(isRoot ? nobody : process.getuid?.());
  }, 180_000);

  test("the broker alone is healthy as well", async () => {
    const env = {
      ...environment("manager", secrets),
      MUSTER_DATA_DIR: join(folder, "broker-data"),
      MUSTER_HTTP_PORT: "9",
      MUSTER_BROKER_PORT: String((await freePorts(1))[0]),
    };
    const child = asUser([...(image.entrypoint ?? []), "broker"], env);
    child.stdout?.resume();
    child.stderr?.resume();
    running.push({ process: child, exited: new Promise((resolve) => child.once("exit", resolve)) });
    await until("the broker to be healthy", async () => (await outcome(asUser(image.healthcheck ?? [], env))).code === 0, 30_000);
  }, 60_000);
});
