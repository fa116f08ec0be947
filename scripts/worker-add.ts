/**
 * `npm run worker:add -- <id> [--pool <pool>] [--replace] [--preset]`: lets a worker in, and prints the line that starts it on
 * its host. With `--preset` its password is MUSTER_BROKER_PASSWORD, for unattended installs, and nothing is printed.
 */
import { hostname } from "node:os";
import { parseArgs } from "node:util";
import { withClient } from "../broker/credentials-content.ts";
import { hostInUrl, isLoopback } from "../broker/config.ts";
import { defaultPool, id } from "../schema/ids.ts";
import { configOrExit } from "../schema/kit/config.ts";
import { readHostConfig, type HostConfig } from "./config.ts";
import { openHostCredentials } from "./credentials.ts";
import { commandOf } from "../schema/command.ts";

const usage = commandOf("worker:add", "<id> [--pool <pool>] [--replace] [--preset]");

const help = `Usage: ${usage}

Lets a worker in, and prints the line that starts it on its own host. Run it beside the manager's data folder (MUSTER_DATA_DIR),
with MUSTER_DATABASE_URL as the manager has it.

  --pool     The pool that it belongs to. Default: ${defaultPool}.
  --replace  Gives a worker that is let in already a new password; the old one no longer works.
  --preset   Takes its password from MUSTER_BROKER_PASSWORD and prints nothing, for unattended installs.`;

/** How another host reaches an address that something here listens on. */
function fromElsewhere(host: string): string {
  return host === "0.0.0.0" || host === "::" ? hostname() : hostInUrl(host);
}

interface Wanted {
  readonly workerId: string;
  readonly pool: string;
  readonly replace: boolean;
  readonly preset: boolean;
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        pool: { type: "string", default: defaultPool },
        replace: { type: "boolean", default: false },
        preset: { type: "boolean", default: false },
      },
      allowPositionals: true,
    });
  } catch (error) {
    // Node goes on with advice about `--` that does not fit here.
    const what = String((error as Error).message).split(". ")[0];
    throw new Error(`${what}: ${usage}`, { cause: error });
  }
}

function readArguments(argv: readonly string[]): Wanted {
  const { values, positionals } = parse(argv);
  const [workerId, ...rest] = positionals;
  if (workerId === undefined || rest.length > 0) throw new Error(`it takes one id: ${usage}`);
  for (const [what, text] of [
    ["the worker's id", workerId],
    ["the pool", values.pool],
  ] as const) {
    const checked = id.safeParse(text);
    if (!checked.success) throw new Error(`${what} ${JSON.stringify(text)} ${checked.error.issues[0]?.message ?? "is not one"}`);
  }
  return { workerId, ...values };
}

/** Whether the worker must be on this host, because nothing here listens beyond it. */
function staysHere(config: HostConfig): boolean {
  return config.brokerUrl === null && isLoopback(config.brokerHost);
}

/** Where the worker fetches large bodies; undefined when it could not reach it, and then it takes none. */
function managerUrlFor(config: HostConfig): string | undefined {
  if (config.managerUrl !== null) return config.managerUrl;
  if (isLoopback(config.httpHost) && !staysHere(config)) return undefined;
  return `http://${fromElsewhere(config.httpHost)}:${config.httpPort}`;
}

/** The line to paste: plain words only, so that every POSIX shell takes it. */
function lineFor(config: HostConfig, worker: { readonly workerId: string; readonly pool: string }, password: string): string {
  const scheme = config.secure ? "mqtts" : "mqtt";
  const settings = {
    // Beside the manager and its own worker it needs a folder of its own.
    MUSTER_DATA_DIR: staysHere(config) ? `data-${worker.workerId}` : undefined,
    MUSTER_WORKER_ID: worker.workerId,
    MUSTER_POOL: worker.pool,
    MUSTER_BROKER_URL: config.brokerUrl ?? `${scheme}://${fromElsewhere(config.brokerHost)}:${config.brokerPort}`,
    MUSTER_BROKER_PASSWORD: password,
    MUSTER_MANAGER_URL: managerUrlFor(config),
  };
  const words = Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  return `${words.join(" ")} ${commandOf("worker")}`;
}

async function main(): Promise<void> {
  if (process.argv.slice(2).includes("--help")) {
    process.stdout.write(`${help}\n`);
    return;
  }
  const worker = readArguments(process.argv.slice(2));
  const config = configOrExit(() => readHostConfig());
  await using book = await openHostCredentials(config);
  if (worker.preset && config.brokerPassword === null)
    throw new Error("--preset takes the password from MUSTER_BROKER_PASSWORD, which is not given");
  const add = withClient({
    username: worker.workerId,
    pool: worker.pool,
    role: "worker",
    replace: worker.replace,
    ...(worker.preset ? { password: config.brokerPassword ?? "" } : {}),
  });
  const password = await book.change((content) => {
    if (!worker.replace && content.clients.some((client) => client.username === worker.workerId)) {
      throw new Error(
        `${worker.workerId} is let in already; with --replace it gets a new password, and the old one no longer works`,
      );
    }
    return add(content);
  });
  if (worker.preset) return;
  process.stderr.write(`Paste this in a Muster folder on the worker's host; the password is shown this once:\n`);
  process.stdout.write(`${lineFor(config, worker, password)}\n`);
  if (staysHere(config)) {
    process.stderr.write(
      `The broker listens on ${config.brokerHost} only, so this worker must be on this host. For others, start the manager with MUSTER_BROKER_HOST=0.0.0.0, ` +
        "and MUSTER_BROKER_CERT and MUSTER_BROKER_KEY unless the network is trusted.\n",
    );
  } else if (managerUrlFor(config) === undefined) {
    process.stderr.write(
      `The API listens on ${config.httpHost} only, so this worker will take no large bodies; MUSTER_MANAGER_URL names an address that it can reach.\n`,
    );
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`muster worker:add: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
