/**
 * Reads a configuration: flags before environment before muster.yaml before defaults. Every mistake is found at once and said
 * in a sentence that names the key and what it takes; nothing starts on a configuration that was only half understood.
 */
import { readFileSync } from "node:fs";
import type { Key, Reader } from "./config/key.ts";
import { keys, type KeyName, type Values } from "./config/keys.ts";
import { helpText } from "./config/help.ts";
import { failpointProblems } from "./failpoint.ts";
import { absolute, environmentLayer, fileLayer, flagLayer, type Given, type Layer, type Switch } from "./config/layers.ts";

export interface Sources {
  /** The command line without the program and the script. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Relative paths are relative to it, and muster.yaml is looked for in it. */
  readonly cwd: string;
}

/** The start ends here: with help that was asked for (`exitCode` 0, for standard output), or for what `message` says (2). */
export class ConfigStop extends Error {
  override readonly name = "ConfigStop";
  readonly exitCode: 0 | 2;
  constructor(exitCode: 0 | 2, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A start that was refused for these reasons. */
export function refusal(reader: string, problems: readonly string[]): ConfigStop {
  return new ConfigStop(2, problems.map((problem) => `muster ${reader}: ${problem}`).join("\n"));
}

export interface Read {
  readonly values: Values;
  /** Names of the switches that were given. */
  readonly switches: ReadonlySet<string>;
  /** Which keys somebody gave, and under which name. */
  readonly given: ReadonlyMap<KeyName, string>;
  /** What flags gave, as text for the environment of a child. */
  readonly flags: ReadonlyMap<KeyName, string>;
}

const helpSwitch: Switch = { flag: "help", sentence: "Prints this." };

/** Reads and checks every key. Throws `ConfigStop`; relations between keys are for each reader to check (`refusal`). */
export function readValues(reader: Reader, sources: Sources, own: readonly Switch[] = []): Read {
  const flags = flagLayer(sources.argv, reader, [helpSwitch, ...own], sources.cwd);
  if (flags.switches.has("help")) throw new ConfigStop(0, helpText(reader, [helpSwitch, ...own]));
  const environment = environmentLayer(sources.env, sources.cwd);
  const wanted = flags.values.get("config") ?? environment.values.get("config");
  const file = readFile(wanted, sources.cwd);
  const layers: readonly Layer[] = [flags, environment, file];
  const problems = layers.flatMap((layer) => layer.problems);
  const values: Record<string, unknown> = {};
  const given = new Map<KeyName, string>();
  for (const name of Object.keys(keys) as KeyName[]) {
    const key: Key = keys[name];
    const found = layers.map((layer) => layer.values.get(name)).find((one) => one !== undefined);
    if (found) given.set(name, found.name);
    const parsed = found && key.kind.schema.safeParse(found.raw);
    if (found && parsed && !parsed.success) problems.push(`${found.name} is ${shown(key, found)}; it takes ${key.kind.allowed}`);
    values[name] = parsed?.success ? parsed.data : key.byDefault;
  }
  const { failpoint, production } = values as Values;
  problems.push(...failpointProblems(given.get("failpoint") ?? "", failpoint, { production, nodeEnv: sources.env["NODE_ENV"] }));
  if (problems.length > 0) throw refusal(reader, problems);
  const flagTexts = new Map([...flags.values].map(([name, { raw }]) => [name, String(raw)]));
  return { values: values as Values, switches: flags.switches, given, flags: flagTexts };
}

function shown(key: Key, given: Given): string {
  // Where a URL is not taken because of the password in it, the password is not shown either.
  return key.secret ? "not one" : JSON.stringify(given.raw).replace(/:\/\/.*@/, "://…@");
}

function readFile(wanted: Given | undefined, cwd: string): Layer {
  const file = typeof wanted?.raw === "string" ? wanted.raw : "muster.yaml";
  try {
    return fileLayer(file, readFileSync(absolute(cwd, file), "utf8"), cwd);
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (missing && !wanted) return { values: new Map(), problems: [] };
    const why = error instanceof Error ? error.message : String(error);
    return {
      values: new Map(),
      problems: [`${wanted?.name ?? "muster.yaml"}: the file ${JSON.stringify(file)} cannot be read: ${why}`],
    };
  }
}

/** The same object, frozen to its depth. */
export function deepFreeze<T>(value: T): T {
  if (value !== null && typeof value === "object" && !ArrayBuffer.isView(value)) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}

/** For an entry point: what `read` returns, or else the process ends, having said why on the right stream. */
export function configOrExit<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConfigStop)) throw error;
    (error.exitCode === 0 ? process.stdout : process.stderr).write(`${error.message}\n`);
    process.exit(error.exitCode);
  }
}

/** How a key is named in a sentence: as it was given, or by its name in the environment. */
export function nameOf(read: Pick<Read, "given">, name: KeyName): string {
  return read.given.get(name) ?? keys[name].env;
}
