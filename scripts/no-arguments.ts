/** For scripts that take no arguments: whoever asks what one does must not set it off. */

/** Returns when there are none. `--help` prints `usage` and ends the process with 0; anything else throws a sentence. */
export function takeNoArguments(usage: string, argv: readonly string[] = process.argv.slice(2)): void {
  if (argv.includes("--help")) {
    process.stdout.write(`${usage}\n`);
    process.exit(0);
  }
  const [first] = argv;
  if (first !== undefined)
    throw new Error(`it takes no arguments, and ${JSON.stringify(first)} is one; --help says what it does`);
}
