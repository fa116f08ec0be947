/** (g) What Muster takes: start-up time and memory, from the source and from the release. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { addClient, addToken } from "../../broker/credentials.ts";
import { freePorts } from "../../test/kit/ports.ts";
import { hostMs, residentMb } from "../kit/cpu.ts";
import { makeFolder, removeFolder } from "../kit/folders.ts";
import type { Aim, Measure } from "../kit/figure.ts";
import { Part, root } from "../kit/part.ts";
import type { Plan, Section } from "../kit/section.ts";

type From = "source" | "release";
type PartName = "manager" | "worker";

const workerAim: Aim = { atMost: 90 };

export const footprint: Section = {
  letter: "g",
  title: "Start-up time and memory",
  about: `A manager (SQLite, its own broker) and one worker, each from the source (with what Node compiled before) and from the release
of \`npm run build\`. *Up* is the time from its start to its line that it is up. Memory is the resident set: *at rest* after both have been
connected and idle, and *after load* when ${loadRuns(false)} processes of \`/bin/true\` have run.`,
  async variants(plan) {
    execFileSync(process.execPath, [join(root, "scripts/build.ts")], { stdio: "ignore" });
    return (["source", "release"] as const).map((from) => ({ name: `from the ${from}`, round: () => round(from, plan) }));
  },
};

function loadRuns(quick: boolean): number {
  return quick ? 20 : 1_000;
}

async function round(from: From, plan: Plan): Promise<Measure[]> {
  const folder = makeFolder();
  const parts: Part[] = [];
  try {
    const system = await startSystem(from, folder, parts);
    await idle(plan.quick ? 500 : 10_000);
    const atRest = { manager: residentMb(system.manager.pid), worker: residentMb(system.worker.pid) };
    await runMany(system.url, system.token, loadRuns(plan.quick));
    const measures: Measure[] = [];
    for (const name of ["manager", "worker"] as const) {
      const aim = name === "worker" && from === "release" ? { aim: workerAim } : {};
      const afterLoad = residentMb(system[name].pid);
      measures.push(row(from, name, "up", "ms", system.upMs[name]));
      measures.push({ ...row(from, name, "at rest", "MiB", atRest[name]), ...aim });
      measures.push(row(from, name, "after load", "MiB", afterLoad));
    }
    return measures;
  } finally {
    for (const part of parts.toReversed()) await part.end("SIGKILL");
    removeFolder(folder);
  }
}

/** The release's rows are compared with the source's. */
function row(from: From, name: PartName, what: string, unit: string, value: number): Measure {
  const peer = from === "release" ? { peer: `${name} from the source: ${what}` } : {};
  return { what: `${name} from the ${from}: ${what}`, unit, better: "lower", value, ...peer };
}

interface Running {
  readonly url: string;
  readonly token: string;
  readonly manager: Part;
  readonly worker: Part;
  readonly upMs: Readonly<Record<PartName, number>>;
}

async function startSystem(from: From, folder: string, parts: Part[]): Promise<Running> {
  const [httpPort, brokerPort] = (await freePorts(2)) as [number, number];
  const credentials = join(folder, "manager", "credentials.json");
  const token = addToken(credentials, { name: "bench" });
  const password = addClient(credentials, { username: "edge", pool: "default", role: "worker" });
  const url = `http://127.0.0.1:${httpPort}`;
  const start = async (name: PartName, env: Readonly<Record<string, string>>): Promise<readonly [Part, number]> => {
    const args = from === "source" ? [join(root, name, "main.ts")] : [join(root, "dist/muster.js"), name];
    const cache = from === "source" ? { NODE_COMPILE_CACHE: join(root, "node_modules/.cache/muster") } : {};
    const begunMs = hostMs();
    const part = new Part({ name, folder, command: process.execPath, args, env: { ...cache, ...env } });
    parts.push(part);
    await part.ready(`the ${name}`, () => part.log.includes(`"msg":"${name} is up"`));
    return [part, hostMs() - begunMs];
  };
  const [manager, managerMs] = await start("manager", {
    MUSTER_DATA_DIR: join(folder, "manager"),
    MUSTER_HTTP_PORT: String(httpPort),
    MUSTER_BROKER_PORT: String(brokerPort),
  });
  const [worker, workerMs] = await start("worker", {
    MUSTER_DATA_DIR: join(folder, "worker"),
    MUSTER_WORKER_ID: "edge",
    MUSTER_BROKER_URL: `mqtt://127.0.0.1:${brokerPort}`,
    MUSTER_BROKER_PASSWORD: password,
    MUSTER_MANAGER_URL: url,
  });
  return { url, token, manager, worker, upMs: { manager: managerMs, worker: workerMs } };
}

/** Runs `/bin/true` so often, and rejects unless each of them succeeded. */
async function runMany(url: string, token: string, count: number): Promise<void> {
  const call = async (method: string, path: string, body?: unknown): Promise<any> => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const response = await fetch(`${url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${await response.text()}`);
    return await response.json();
  };
  const task = await call("POST", "/tasks", { name: "true", run: { driver: "exec", program: "/bin/true" } });
  const { items } = await call("POST", "/runs", { items: Array.from({ length: count }, () => ({ taskId: task.id })) });
  for (const { run } of items) {
    const ended = await call("GET", `/runs/${run.id}?waitSeconds=60`);
    if (ended.state !== "succeeded") throw new Error(`run ${run.id} is ${ended.state}`);
  }
}

async function idle(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
