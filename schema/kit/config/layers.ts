/** The layers of a configuration (flags, environment, file), each brought to the same form: key → raw value and where it stood. */
import { readFileSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { parseArgs } from "node:util";
import { parseDocument } from "yaml";
import { flagOf, isReadBy, type Key, type Reader } from "./key.ts";
import { keys, otherNames, type KeyName } from "./keys.ts";
import { nearest } from "./nearest.ts";

/** A raw value, and its name as the reader of an error knows it: `MUSTER_HTTP_PORT`, `--http-port`, `http.port in muster.yaml`. */
export interface Given {
  readonly name: string;
  readonly raw: unknown;
}

export interface Layer {
  readonly values: ReadonlyMap<KeyName, Given>;
  readonly problems: readonly string[];
}

/** A command's own switches, such as `--health`, which are no configuration. */
export interface Switch {
  readonly flag: string;
  readonly sentence: string;
}

export interface Flags extends Layer {
  readonly switches: ReadonlySet<string>;
}

const names = Object.keys(keys) as KeyName[];
const keyOf = (name: KeyName): Key => keys[name];

function didYouMean(wrong: string, known: readonly string[]): string {
  const near = nearest(wrong, known);
  return near === undefined ? "" : `; did you mean ${near}?`;
}

function fromFile(name: string, file: string, cwd: string, problems: string[]): Given | undefined {
  try {
    const text = readFileSync(resolve(cwd, file), "utf8").replace(/\r?\n$/, "");
    if (text !== "") return { name, raw: text };
    problems.push(`${name}: the file ${file} is empty`);
  } catch (error) {
    problems.push(
      `${name}: the file ${JSON.stringify(file)} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  return undefined;
}

/** Puts a value under its key; two names for one key in the same layer contradict each other. */
function put(values: Map<KeyName, Given>, name: KeyName, given: Given | undefined, problems: string[]): void {
  if (!given) return;
  const other = values.get(name);
  if (other) problems.push(`${other.name} and ${given.name} are both given; keep one of them`);
  else values.set(name, given);
}

/** Reads `MUSTER_…`. Other variables are none of our business; an empty one counts as not given, as Compose writes them. */
export function environmentLayer(env: Readonly<Record<string, string | undefined>>, cwd: string): Layer {
  const values = new Map<KeyName, Given>();
  const problems: string[] = [];
  const byEnv = new Map<string, { readonly name: KeyName; readonly isFile: boolean }>();
  for (const name of names) {
    byEnv.set(keyOf(name).env, { name, isFile: false });
    if (keyOf(name).secret) byEnv.set(`${keyOf(name).env}_FILE`, { name, isFile: true });
  }
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith("MUSTER_") || value === undefined || value === "" || otherNames.includes(variable)) continue;
    const found = byEnv.get(variable);
    if (!found) problems.push(`${variable} is not a key of Muster${didYouMean(variable, [...byEnv.keys()])}`);
    else
      put(values, found.name, found.isFile ? fromFile(variable, value, cwd, problems) : { name: variable, raw: value }, problems);
  }
  return { values, problems };
}

/** Reads the command line. Every key of this reader has a flag; `--production` and its like may stand alone. */
export function flagLayer(argv: readonly string[], reader: Reader, own: readonly Switch[], cwd: string): Flags {
  const values = new Map<KeyName, Given>();
  const problems: string[] = [];
  const switches = new Set<string>();
  const byFlag = new Map(names.filter((name) => isReadBy(keyOf(name), reader)).map((name) => [flagOf(keyOf(name)), name]));
  const known = [...byFlag.keys(), ...own.map((one) => one.flag)];
  const options: Record<string, { type: "string" | "boolean" }> = {};
  for (const flag of known) {
    const name = byFlag.get(flag);
    options[flag] = { type: name && !keyOf(name).kind.isSwitch ? "string" : "boolean" };
  }
  // A secret's plain name is taken in with its value, so that the value is not repeated in an error.
  const secrets = new Set(
    [...byFlag.keys()].filter((flag) => keyOf(byFlag.get(flag) as KeyName).secret).map((flag) => flag.slice(0, -"-file".length)),
  );
  for (const flag of secrets) options[flag] = { type: "string" };
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, tokens: true, allowPositionals: true });
  for (const token of tokens) {
    if (token.kind === "positional") problems.push(`${JSON.stringify(token.value)} is not a flag; flags begin with --`);
    if (token.kind !== "option") continue;
    const name = byFlag.get(token.name);
    if (own.some((one) => one.flag === token.name)) switches.add(token.name);
    else if (secrets.has(token.name))
      problems.push(`${token.rawName} would show a secret to everybody on this host; use ${token.rawName}-file`);
    else if (name === undefined)
      problems.push(
        `${token.rawName} is not a flag of ${reader}${didYouMean(
          token.rawName,
          known.map((flag) => `--${flag}`),
        )}`,
      );
    else if (keyOf(name).kind.isSwitch) put(values, name, { name: token.rawName, raw: token.value ?? true }, problems);
    else if (token.value === undefined) problems.push(`${token.rawName} needs a value: ${keyOf(name).kind.allowed}`);
    else if (keyOf(name).secret) put(values, name, fromFile(token.rawName, token.value, cwd, problems), problems);
    else put(values, name, { name: token.rawName, raw: token.value }, problems);
  }
  return { values, problems, switches };
}

/** Reads muster.yaml: every key of every reader may stand there, so that one file serves a whole host. */
export function fileLayer(file: string, text: string, cwd: string): Layer {
  const values = new Map<KeyName, Given>();
  const problems: string[] = [];
  const document = parseDocument(text, { uniqueKeys: true });
  if (document.errors.length > 0)
    return { values, problems: document.errors.map((error) => `${file}: ${error.message.split("\n")[0]}`) };
  const byPath = new Map<string, { readonly name: KeyName; readonly isFile: boolean }>();
  for (const name of names) {
    const { yaml, secret } = keyOf(name);
    if (yaml === "") continue;
    byPath.set(yaml, { name, isFile: false });
    if (secret) byPath.set(`${yaml}File`, { name, isFile: true });
  }
  const isGroup = (path: string): boolean => [...byPath.keys()].some((known) => known.startsWith(`${path}.`));
  const walk = (node: unknown, path: string): void => {
    const found = byPath.get(path);
    const shown = `${path} in ${file}`;
    if (found) {
      if (node === null) return;
      put(
        values,
        found.name,
        found.isFile && typeof node === "string" ? fromFile(shown, node, cwd, problems) : { name: shown, raw: node },
        problems,
      );
    } else if (path !== "" && !isGroup(path)) {
      problems.push(`${shown} is not a key of Muster${didYouMean(path, [...byPath.keys()])}`);
    } else if (node !== null && typeof node === "object" && !Array.isArray(node)) {
      for (const [part, value] of Object.entries(node)) walk(value, path === "" ? part : `${path}.${part}`);
    } else if (node !== null) {
      problems.push(`${path === "" ? file : shown} must be a map of keys`);
    }
  };
  walk(document.toJS({ maxAliasCount: 0 }), "");
  return { values, problems };
}

/** The path of a key that names a file or folder, made absolute. */
export function absolute(cwd: string, path: string): string {
  return isAbsolute(path) ? path : resolve(cwd, path);
}
