/** The tables in docs/words.md, made from the schema; the text between them is written by hand. */
import { eventKinds } from "../../schema/event.ts";
import { problems } from "../../schema/problem.ts";
import { attemptStates, isTerminal, runMoves, runStates } from "../../schema/run.ts";
import { workerStates } from "../../schema/worker.ts";
import type { Generator } from "./generator.ts";

function code(words: readonly string[]): string {
  return words.map((word) => `\`${word}\``).join(" ");
}

function runTable(): string {
  const rows = runStates.map(
    (state) => `| \`${state}\` | ${isTerminal(state) ? "terminal: never changes again" : code(runMoves[state])} |`,
  );
  return `| state | may become |\n|---|---|\n${rows.join("\n")}`;
}

function problemTable(): string {
  const rows = Object.entries(problems).map(([name, { status, title }]) => `| \`${name}\` | ${status} | ${title} |`);
  return `| code | status | what it says |\n|---|---|---|\n${rows.join("\n")}`;
}

const parts: Readonly<Record<string, () => string>> = {
  "run states": runTable,
  "attempt states": () => code(attemptStates),
  "worker states": () => code(workerStates),
  "event kinds": () => code(eventKinds),
  problems: problemTable,
};

/** Fills each `<!-- from the code: x -->` … `<!-- end -->` of the page. Throws when the page lacks a part or names an unknown one. */
function fill(page: string): string {
  const found = new Set<string>();
  const filled = page.replaceAll(/<!-- from the code: (.+?) -->\n[^]*?<!-- end -->/g, (_all, name: string) => {
    const make = parts[name];
    if (!make)
      throw new Error(`docs/words.md asks for ${JSON.stringify(name)}, which is not one of ${Object.keys(parts).join(", ")}`);
    found.add(name);
    return `<!-- from the code: ${name} -->\n${make()}\n<!-- end -->`;
  });
  const missing = Object.keys(parts).filter((name) => !found.has(name));
  if (missing.length > 0) throw new Error(`docs/words.md has no place for ${missing.join(", ")}`);
  return filled;
}

export const words: Generator = { file: "docs/words.md", make: (before) => fill(before) };
