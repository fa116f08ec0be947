/**
 * `node scripts/muster.mjs mosquitto:users <file> [--preset]`: writes Mosquitto's password file for everybody whom the manager's
 * credentials let in. With `--preset` the manager's password is MUSTER_BROKER_PASSWORD, for unattended installs.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { mosquittoPasswdOf, withClient, withSomeManager, type CredentialsChange } from "../broker/credentials-content.ts";
import { replaceFile } from "../broker/replace-file.ts";
import { defaultPool, managerUsername } from "../schema/ids.ts";
import { openCredentialBook } from "../manager/store/credentials.ts";
import { configOrExit } from "../schema/kit/config.ts";
import { readHostConfig } from "./config.ts";

const usage = "mosquitto:users <file> [--preset]";

const help = `Usage: ${usage}

Writes the password file of a Mosquitto that Muster uses: everybody who is let in by the manager's credentials (in MUSTER_DATA_DIR, or in
the MariaDB of MUSTER_DATABASE_URL), and the manager, who is made when there is none. Run it again after worker:add, and after a worker was removed; then send
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
function letManagerIn(preset: boolean, password: string | null): CredentialsChange<string | undefined> {
  if (!preset) return withSomeManager();
  if (password === null) throw new Error("--preset takes the manager's password from MUSTER_BROKER_PASSWORD, which is not given");
  const add = withClient({ username: managerUsername, pool: defaultPool, role: "manager", password, replace: true });
  return (content) => [add(content)[0], undefined];
}

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  if (argv.includes("--help")) {
    process.stdout.write(`${help}\n`);
    return;
  }
  const { file, preset } = parse(argv);
  const config = configOrExit(() => readHostConfig());
  await using book = await openCredentialBook(config, (sentence) => process.stderr.write(`${sentence}\n`));
  const password = await book.change(letManagerIn(preset, config.brokerPassword));
  const whole = resolve(file);
  replaceFile(whole, whole, mosquittoPasswdOf(await book.read()));
  if (password !== undefined)
    process.stdout.write(`The manager comes in with MUSTER_BROKER_PASSWORD=${password} (shown this once)\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`muster mosquitto:users: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
