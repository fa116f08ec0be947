/** Writes docs/performance.md: how to read it, and what was measured. */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Figure } from "./figure.ts";
import type { Machine } from "./machine.ts";
import type { Section } from "./section.ts";
import { markdownTable } from "./table.ts";

const file = resolve(import.meta.dirname, "../../docs/performance.md");

const reading = `Everything shares the cores: the load generator, the manager, the broker, the database, the workers and, in their own turns, the
peers. Each row is the median of its rounds. The rounds of all rows of a section are taken in turns, so that a noisy neighbour hits
all alike; *lowest to highest* says how much they differed. Compare a row with its peer (*against*) rather than with another
machine's. CPU is user and system time from /proc for each run, job or process, children included: it hardly changes when
something else runs on the cores. What was started is counted afterwards in the database (runs, attempts with their ends, events);
a difference fails the benchmark, so every figure here stands for work that is complete and durable.`;

/** Writes the page from one run of the benchmarks and returns its path. */
export function writeReport(host: Machine, sections: readonly Section[], figures: readonly Figure[]): string {
  const parts = sections.map((section) => {
    const own = figures.filter((figure) => figure.section === section.letter);
    return `## (${section.letter}) ${section.title}\n\n${section.about}\n\n${markdownTable(own, figures)}\n`;
  });
  const text = [
    "# Performance\n",
    "<!-- Written by `npm run bench -- --write`. -->\n",
    `${host.line}\n`,
    `${reading}\n`,
    ...parts,
  ].join("\n");
  writeFileSync(file, text);
  return file;
}
