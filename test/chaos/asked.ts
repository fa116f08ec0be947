/** What the command line of `npm run chaos` asks for. */
import { atMostOne, readCount, readFlags, WrongUse } from "../kit/flags.ts";
import type { Scenario, Size } from "./scenario.ts";

export type Asked =
  | { readonly what: "help" }
  | { readonly what: "judge"; readonly file: string }
  | { readonly what: "play"; readonly played: readonly Scenario[]; readonly size: Size };

/** @throws {WrongUse} when it asks for nothing that there is, or for two things at once. */
export function readAsked(args: readonly string[], scenarios: readonly Scenario[]): Asked {
  const { values, positionals } = readFlags(args, {
    rounds: { type: "string" },
    small: { type: "boolean" },
    judge: { type: "string" },
    help: { type: "boolean", short: "h" },
  });
  if (values.help) return { what: "help" };
  for (const other of ["rounds", "small"]) atMostOne(values, ["judge", other]);
  const unknown = positionals.find((name) => !scenarios.some((scenario) => scenario.name === name));
  if (values.judge !== undefined) {
    if (positionals.length > 0) throw new WrongUse("--judge plays no scenario; it takes one file");
    return { what: "judge", file: values.judge };
  }
  if (unknown !== undefined) throw new WrongUse(`there is no scenario ${JSON.stringify(unknown)}; --help lists them`);
  const played = positionals.length === 0 ? scenarios : scenarios.filter(({ name }) => positionals.includes(name));
  const rounds = readCount("rounds", values.rounds ?? "5");
  return { what: "play", played, size: { kind: values.small ? "small" : "full", rounds } };
}
