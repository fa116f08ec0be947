/** The file that a shim reads to become the program: `cd`, `export` and `exec`, with every value in single quotes. */

export interface LaunchText {
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

/** Names that a shell sets, reads or forbids to set, and the two that launcher.sh still needs when exec fails: these go through env(1), at the price of one more exec. */
const shellsOwn =
  /^(_|IFS|PS[0-9]|OPT(ARG|IND|ERR)|PPID|E?UID|GROUPS|S?RANDOM|SECONDS|LINENO|EPOCH(SECONDS|REALTIME)|SHELLOPTS|SHLVL|BASH.*|DIRSTACK|FUNCNAME|FUNCNEST|HIST.*|COMP.*|PIPESTATUS|HOSTTYPE|MACHTYPE|OSTYPE|COLUMNS|LINES|GLOB.*|TMOUT|ENV|FCEDIT|MAIL.*|EXECIGNORE|POSIXLY_CORRECT|PWD|OLDPWD|CDPATH|id|folder)$/;

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

/** The text of the file. */
export function launchText(text: LaunchText): string {
  const lines = [
    // `cd` exports PWD and OLDPWD in dash, so the names go after it.
    `cd ${quote(text.workingDirectory)} || exit 126`,
    "umask 022",
    "unset PWD OLDPWD SHLVL LC_ALL PATH",
  ];
  const viaEnv: string[] = [];
  for (const [name, value] of Object.entries(text.env)) {
    if (shellsOwn.test(name)) viaEnv.push(quote(`${name}=${value}`));
    else lines.push(`export ${name}=${quote(value)}`);
  }
  const command = [
    ...text.prefix.map(quote),
    ...(viaEnv.length > 0 ? ["/usr/bin/env", ...viaEnv] : []),
    quote(text.program),
    ...text.args.map(quote),
  ];
  lines.push(`exec ${command.join(" ")} <${quote(text.stdin)} >>${quote(text.stdout)} 2>>${quote(text.stderr)}`);
  return `${lines.join("\n")}\n`;
}
