/**
 * The file that a shim reads to become or to start the program: `cd`, the environment and the command, with every value in
 * single quotes. Its first line, of fixed length, says whose it is, because a folder serves attempts one after the other.
 */
import { closeSync, constants, ftruncateSync, openSync, writeSync } from "node:fs";
import type { LaunchStyle } from "./launcher.ts";

export interface LaunchText {
  readonly attempt: string;
  /** Absolute. */
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  /** Absolute paths. */
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  /** What stands before the program, such as setpriv with its options; absolute paths. */
  readonly prefix: readonly string[];
}

/** Names that a shell sets, reads or forbids to set, and those that launcher.sh still needs when exec fails: these go through env(1), at the price of one more exec. */
const shellsOwn =
  /^(_|IFS|PS[0-9]|OPT(ARG|IND|ERR)|PPID|E?UID|GROUPS|S?RANDOM|SECONDS|LINENO|EPOCH(SECONDS|REALTIME)|SHELLOPTS|SHLVL|BASH.*|DIRSTACK|FUNCNAME|FUNCNEST|HIST.*|COMP.*|PIPESTATUS|HOSTTYPE|MACHTYPE|OSTYPE|COLUMNS|LINES|GLOB.*|TMOUT|ENV|FCEDIT|MAIL.*|EXECIGNORE|POSIXLY_CORRECT|PWD|OLDPWD|CDPATH|id|folder|bell|boot|me|ran|serving)$/;

/** A name that a shell can export. */
const plainName = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Single quotes keep every byte as it is but their own. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The first thing that no shell and no exec could carry, as a sentence; undefined when all is well. */
export function unfit(text: LaunchText): string | undefined {
  for (const [name, value] of Object.entries(text.env)) {
    if (!plainName.test(name)) return `the environment has a name that is none: ${JSON.stringify(name)}`;
    if (value.includes("\0")) return `the value of ${name} holds a NUL byte`;
  }
  if (text.args.some((arg) => arg.includes("\0"))) return "an argument holds a NUL byte";
  if (text.program.includes("=") && Object.keys(text.env).some((name) => shellsOwn.test(name))) {
    return `the program's path holds a "=", and env(1), which is needed for ${Object.keys(text.env).find((name) => shellsOwn.test(name))}, would take it for a variable`;
  }
  return undefined;
}

/** The text behind the first line. */
export function launchText(text: LaunchText, style: LaunchStyle): string {
  const plain: string[] = [];
  const viaEnv: string[] = [];
  for (const [name, value] of Object.entries(text.env)) {
    if (shellsOwn.test(name)) viaEnv.push(quote(`${name}=${value}`));
    else plain.push(`${name}=${quote(value)}`);
  }
  const command = [
    ...text.prefix.map(quote),
    ...(viaEnv.length > 0 ? ["/usr/bin/env", ...viaEnv] : []),
    quote(text.program),
    ...text.args.map(quote),
  ].join(" ");
  const streams = `<${quote(text.stdin)} >>${quote(text.stdout)} 2>>${quote(text.stderr)}`;
  const folder = quote(text.workingDirectory);
  // `cd` exports PWD and OLDPWD in dash, so the names go after it.
  const bare = "unset PWD OLDPWD SHLVL";
  const lines =
    style === "spawn"
      ? // The group's streams are opened before `ran` is set: the program runs with all of them or not at all.
        [`cd ${folder} || return 126`, "umask 022", bare, `{ ran=1; ${[...plain, command].join(" ")}; } ${streams}`]
      : [
          "ran=sub",
          "(",
          "trap 'norun $?' 0",
          `cd ${folder} || exit 126`,
          "umask 022",
          bare,
          ...plain.map((one) => `export ${one}`),
          `exec ${command} ${streams}`,
          "norun $?",
          ")",
        ];
  return `${lines.join("\n")}\n`;
}

/** Length of the first line: an id of 36 characters and the words around it. */
const headBytes = 96;

function headOf(words: string): Buffer {
  return Buffer.from(`${words} #`.padEnd(headBytes - 1, "#") + "\n", "latin1");
}

/** Read by a shim, it starts nothing: also one that stalled between two lines while the folder was emptied (rule 23). */
const nobodys = headOf("ran=no; return 125");

/** Makes a file that starts nothing yet. */
export function newLaunchFile(path: string): void {
  const file = openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o600);
  try {
    writeSync(file, nobodys);
  } finally {
    closeSync(file);
  }
}

/** From here on the file starts nothing. */
export function voidLaunchFile(path: string): void {
  const file = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    writeSync(file, nobodys, 0, nobodys.length, 0);
  } finally {
    closeSync(file);
  }
}

/** Fills a file that starts nothing. Its first line comes last: whoever reads that finds the whole rest. */
export function fillLaunchFile(path: string, text: LaunchText, style: LaunchStyle): void {
  const body = Buffer.from(launchText(text, style));
  const head = headOf(`case $id in ${quote(text.attempt)}) ;; *) ran=no; return 125 ;; esac`);
  const file = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    for (let written = 0; written < body.length;)
      written += writeSync(file, body, written, body.length - written, headBytes + written);
    ftruncateSync(file, headBytes + body.length);
    writeSync(file, head, 0, head.length, 0);
  } finally {
    closeSync(file);
  }
}
