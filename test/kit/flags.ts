/** The command line of our own tools (`npm run simulate`, `npm run chaos`): what is wrong with it in a sentence, never a stack. */
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";

/** The exit code of wrong use; 1 is for promises that did not hold. */
const misuse = 2;

/** What is wrong with a command line. */
export class WrongUse extends Error {}

/**
 * Reads `args` by Node's own parser.
 *
 * @throws {WrongUse} for flags that there are not, or that lack their value.
 */
export function readFlags<const Options extends ParseArgsOptionsConfig>(args: readonly string[], options: Options) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new WrongUse(sentenceOf(error), { cause: error });
  }
}

/** For a command that takes flags alone. */
export function noWords(positionals: readonly string[]): void {
  const [first] = positionals;
  if (first !== undefined) throw new WrongUse(`${JSON.stringify(first)} is not a flag; flags begin with --`);
}

/** A whole number from 1, which is all that a flag of numbers takes. */
export function readCount(name: string, text: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new WrongUse(`--${name} takes a whole number from 1, not ${text === "" ? "nothing" : text}`);
}

/** Flags of which each changes what the command does altogether: at most one of them. */
export function atMostOne(values: Readonly<Record<string, unknown>>, names: readonly string[]): void {
  const [first, second] = names.filter((name) => values[name] !== undefined);
  if (first !== undefined && second !== undefined) throw new WrongUse(`--${first} and --${second} do not go together`);
}

/** A flag that says more about another one means nothing without it. */
export function onlyWith(values: Readonly<Record<string, unknown>>, names: readonly string[], other: string): void {
  const alone = names.find((name) => values[name] !== undefined);
  if (alone !== undefined && values[other] === undefined) throw new WrongUse(`--${alone} is for --${other} only`);
}

/** Node's sentence without its advice of several lines, which is about Node's own ways. */
function sentenceOf(error: unknown): string {
  const [first = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
  const flag = /'(?:-\w, )?(--?[\w-]+)/.exec(first)?.[1] ?? "";
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") return `there is no flag ${flag}`;
  if (first.includes("does not take an argument")) return `${flag} takes no value`;
  if (code === "ERR_PARSE_ARGS_INVALID_OPTION_VALUE") return `${flag} takes a value (${flag}=… when it begins with a dash)`;
  return first;
}

/** Says what was wrong with a command line, and gives the exit code of that; any other error stays one. */
export function saidWrongUse(error: unknown): number {
  if (!(error instanceof WrongUse)) throw error;
  process.stderr.write(`${error.message}\nSee --help.\n`);
  return misuse;
}
