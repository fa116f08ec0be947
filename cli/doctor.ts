/** `muster doctor`: what is wrong with a running system and a data folder, in sentences. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { readManagerConfig, type ManagerConfig } from "../manager/config.ts";
import { ConfigStop } from "../schema/kit/config.ts";
import { Api } from "./api.ts";
import { brokerCheck, type BrokerAsked } from "./checks/broker.ts";
import { databaseCheck } from "./checks/database.ts";
import { fail, made, skip, type Check, type Finding } from "./checks/finding.ts";
import { folderCheck } from "./checks/folder.ts";
import { healthCheck } from "./checks/health.ts";
import { journalCheck } from "./checks/journal.ts";
import { runsCheck } from "./checks/runs.ts";
import { workersCheck } from "./checks/workers.ts";
import { readCliConfig, type CliConfig } from "./config.ts";
import { asJson, asText } from "./report.ts";

const more = `
Ends with 0 when nothing fails, with 1 when something does, with 2 for wrong use. Nothing is changed, and no secret is printed.

The configuration is the parts' own: MUSTER_DATA_DIR, MUSTER_DATABASE_URL, MUSTER_BROKER_URL, …, muster.yaml, or flags such as
--data-dir. MUSTER_URL and MUSTER_TOKEN name another API, and a token with which workers and runs are looked at.`;

export function doctorCommand(): Command {
  return new Command("doctor")
    .description("Checks a running system and a data folder, and says what is wrong and what to do.")
    .option("--json", "as one JSON object, for programs and bug reports")
    .allowUnknownOption()
    .allowExcessArguments()
    .addHelpText("after", more)
    .action(async ({ json }: { readonly json?: boolean }, command: Command) => {
      const config = readCliConfig("doctor", command.args);
      const found = await examine(config);
      process.stdout.write(json ? asJson(found, config.secrets) : asText(found, config.secrets));
      process.exitCode = found.some(({ status }) => status === "fail") ? 1 : 0;
    });
}

/** All checks at once: what hangs keeps nobody else waiting. The findings are in the order of the checks. */
export async function examine(config: CliConfig): Promise<readonly Finding[]> {
  const { manager, findings } = managerOf(config);
  const checks = [folderCheck(config.dataDir), ...managerChecks(config, manager), ...apiChecks(config), ...workerChecks(config)];
  const found = await Promise.all(checks.map((check) => made(check)));
  return [...findings, ...found.flat()];
}

/** The manager's own reading of its configuration: what would stop its start is said. Its reading makes the folder, so there must be one. */
function managerOf({ dataDir, env, cwd }: CliConfig): {
  readonly manager: ManagerConfig | undefined;
  readonly findings: Finding[];
} {
  if (!existsSync(dataDir)) return { manager: undefined, findings: [] };
  try {
    return { manager: readManagerConfig([], env, cwd), findings: [] };
  } catch (error) {
    const why = error instanceof ConfigStop || error instanceof Error ? error.message : String(error);
    return {
      manager: undefined,
      findings: [fail("configuration", why, "A manager would not start with it; mend what it names.")],
    };
  }
}

/** Whether a manager lives, or could live, on this host. */
function hasManager({ dataDir, values }: CliConfig): boolean {
  const left = ["muster.db", "credentials.json", "credentials.database"];
  return values.databaseUrl !== null || left.some((name) => existsSync(join(dataDir, name)));
}

function managerChecks(config: CliConfig, manager: ManagerConfig | undefined): Check[] {
  if (!hasManager(config)) {
    const sentence = `no manager has used ${config.dataDir}, and MUSTER_DATABASE_URL names no database: neither database nor broker were looked at`;
    return [{ name: "database", run: async () => [skip("database", sentence)] }];
  }
  const { values } = config;
  const checks = [databaseCheck({ databaseUrl: config.databaseUrl, pools: values.pools, leaseStillMs: values.leaseStillMs })];
  if (manager) checks.push(brokerCheck(brokerOf(manager)));
  return checks;
}

function brokerOf({ broker, brokerHost, brokerPort, topicPrefix }: ManagerConfig): BrokerAsked {
  if (broker.kind === "remote") return { kind: "remote", client: broker, prefix: topicPrefix };
  const host = brokerHost === "0.0.0.0" ? "127.0.0.1" : brokerHost === "::" ? "::1" : brokerHost;
  return { kind: "embedded", host, port: brokerPort };
}

function apiChecks(config: CliConfig): Check[] {
  if (!hasManager(config) && config.values.url === null)
    return [
      { name: "api", run: async () => [skip("api", "no manager is known to this host; MUSTER_URL and MUSTER_TOKEN name one")] },
    ];
  const api = (signal: AbortSignal): Api => new Api(config.apiUrl, config.token, signal);
  return [healthCheck(api), workersCheck(api), runsCheck(api)];
}

function workerChecks({ dataDir }: CliConfig): Check[] {
  const folder = join(dataDir, "worker");
  return existsSync(folder) ? [journalCheck(folder)] : [];
}
