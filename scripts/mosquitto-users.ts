/**
 * `node scripts/muster.mjs mosquitto:users <file> [--preset]`: writes Mosquitto's password file for everybody whom
 * credentials.json lets in. With `--preset` the manager's password is MUSTER_BROKER_PASSWORD, for unattended installs.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { addClient, mosquittoPasswd } from "../broker/credentials.ts";
import { ensureManagerClient } from "../broker/first-manager.ts";
import { replaceFile } from "../broker/replace-file.ts";
import { defaultPool, managerUsername } from "../schema/ids.ts";
import { configOrExit } from "../schema/kit/config.ts";
import { readHostConfig } from "./config.ts";

const usage = "mosquitto:users <file> [--preset]";

const help = `Usage: ${usage}

Writes the password file of a Mosquitto that Muster uses: everybody whom credentials.json in the data folder (MUSTER_DATA_DIR) lets
in, and the manager, who is made when there is none. Run it again after worker:add, and after a worker was removed; then send
Mosquitto a SIGHUP. The file is replaced as a whole and readable for its owner alone; Mosquitto's user must be able to read it.

  --preset   Takes the manager's password from MUSTER_BROKER_PASSWORD and prints nothing, for unattended installs.`;

function parse(argv: readonly string[]): { readonly file: string; readonly preset: boolean } {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { preset: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const [file, ...rest] = positionals;
  if (file === undefined || rest.length > 0) throw new Error(`it takes one file: ${usage}`);
  return { file, preset: values.preset };
}

/** Makes sure that a manager can come in; what is to be printed of it, if anything. */
function letManagerIn(credentialsFile: string, preset: boolean, password: string | null): string | undefined {
  if (!preset) return ensureManagerClient(credentialsFile);
  if (password === null) throw new Error("--preset takes the manager's password from MUSTER_BROKER_PASSWORD, which is not given");
  addClient(credentialsFile, { username: managerUsername, pool: defaultPool, role: "manager", password, replace: true });
  return undefined;
}

function main(): void {
  const argv = process.argv.slice(2);
  if (argv.includes("--help")) {
    process.stdout.write(`${help}\n`);
    return;
  }
  const { file, preset } = parse(argv);
  const { credentialsFile, brokerPassword } = configOrExit(() => readHostConfig());
  const password = letManagerIn(credentialsFile, preset, brokerPassword);
  const whole = resolve(file);
  replaceFile(whole, whole, mosquittoPasswd(credentialsFile));
  if (password !== undefined)
    process.stdout.write(`The manager comes in with MUSTER_BROKER_PASSWORD=${password} (shown this once)\n`);
}

try {
  main();
} catch (error) {
  process.stderr.write(`muster mosquitto:users: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
