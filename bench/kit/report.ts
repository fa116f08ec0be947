/** Writes docs/performance.md: how to read it, and what was measured. Sections that were not measured now stay as they are. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { letters, type Figure, type Letter } from "./figure.ts";
import type { Machine } from "./machine.ts";
import type { Section } from "./section.ts";
import { markdownTable } from "./table.ts";

const file = resolve(import.meta.dirname, "../../docs/performance.md");

const reading = `# Performance

<!-- Written by \`npm run bench -- --write\`; what is changed by hand here is lost. -->

\`npm run bench\` measures all of this again, in about a quarter of an hour; \`npm run bench -- a c\` measures two sections,
\`npm run bench -- --help\` says what else there is. (f) takes minutes to make its two million runs, and runs only when it is named.

How to read it. Everything shares the cores: the load generator, the manager, the broker, the database, the workers and, in their own
turns, what Muster is compared with. A row is the median of its rounds; the rounds of all rows of a section are taken in turns, so that a
noisy neighbour hits all alike, and *lowest to highest* says how much they differed. Compare a row with its peer (*against*), not with a
figure from another machine: each section names the machine, its load and what an fsync cost there. *CPU* is user and system time from
/proc for each run, job or process, children included; it hardly changes when something else runs on the cores, so it is the
figure to trust on a machine that is not idle. Cores × 1,000,000 over *all* is what the machine could do at the most. What was started is counted afterwards in
the database (runs, attempts with their ends, events); a difference fails the benchmark, so every rate here is of work that
is complete and durable. An aim that is not met says so.
`;

/** Writes the page from one run of the benchmarks and returns its path. */
export function writeReport(host: Machine, sections: readonly Section[], figures: readonly Figure[]): string {
  const kept = existsSync(file) ? partsOf(readFileSync(file, "utf8")) : new Map<Letter, string>();
  writeFileSync(file, pageOf(host, sections, figures, kept));
  return file;
}

/** The page with these sections measured now and the kept ones as they were, in order. */
export function pageOf(
  host: Machine,
  sections: readonly Section[],
  figures: readonly Figure[],
  kept: ReadonlyMap<Letter, string>,
): string {
  const parts = new Map(kept);
  for (const { letter, title, about } of sections) {
    const own = figures.filter(({ section }) => section === letter);
    parts.set(
      letter,
      `## (${letter}) ${title}\n\n${about}\n\n${host.line}.\n\n${busyNote(host)}${markdownTable(own, figures)}\n`,
    );
  }
  const ordered = letters.flatMap((letter) => parts.get(letter) ?? []);
  return [reading, ...ordered].join("\n");
}

/** Other work on the machine makes rates and latencies worthless, and whoever reads them must know. */
function busyNote({ load, cores }: Machine): string {
  if (load <= cores / 2) return "";
  return `**The machine was busy with other work when this began (load ${load.toFixed(1)} on ${cores} cores): rates and latencies are below what it can do, and only CPU can be compared.**\n\n`;
}

/** The sections of a page that was written before, by their letters. */
export function partsOf(page: string): Map<Letter, string> {
  const parts = new Map<Letter, string>();
  for (const part of page.split(/^(?=## \()/m)) {
    const letter = letters.find((each) => part.startsWith(`## (${each}) `));
    if (letter) parts.set(letter, `${part.trimEnd()}\n`);
  }
  return parts;
}
