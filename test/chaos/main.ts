/** `npm run chaos`: what may go wrong goes wrong, at full size, with real processes, a real database and a real broker. */
import { saidWrongUse } from "../kit/flags.ts";
import { readAsked } from "./asked.ts";
import { checkHistory } from "./checker.ts";
import { readHistory } from "./history.ts";
import { useOwnFolder } from "./own-folder.ts";
import type { Findings, Scenario, Size } from "./scenario.ts";
import { scenarios } from "./scenarios.ts";

const usage = `Usage: npm run chaos -- [scenario …] [--rounds N] [--small]
       npm run chaos -- --judge <history.jsonl>

Plays every scenario, or those named, and prints what was seen; or judges once more a history that was kept. Exit code 1 when a
promise did not hold.

Scenarios:
${scenarios.map(({ name, about }) => `  ${name.padEnd(18)} ${about}`).join("\n")}
`;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<number> {
  const asked = readAsked(process.argv.slice(2), scenarios);
  if (asked.what === "help") {
    say(usage);
    return 0;
  }
  return asked.what === "judge" ? judge(asked.file) : await play(asked.played, asked.size);
}

async function play(played: readonly Scenario[], size: Size): Promise<number> {
  const leave = useOwnFolder();
  try {
    let violations = 0;
    let skipped = 0;
    for (const scenario of played) {
      say(`== ${scenario.name}: ${scenario.about}`);
      const missing = scenario.missing?.();
      if (missing === undefined) violations += tell(await scenario.play(size, (line) => say(`   ${line}`)));
      else {
        say(`   SKIPPED: ${missing}`);
        skipped += 1;
      }
    }
    say(`${played.length - skipped} scenarios${skipped > 0 ? ` (and ${skipped} SKIPPED)` : ""}, ${violations} violations`);
    return violations === 0 ? 0 : 1;
  } finally {
    leave();
  }
}

function judge(file: string): number {
  const { figures, violations } = checkHistory(readHistory(file));
  return tell({ figures: { ...figures }, violations: violations.map(({ kind, sentence }) => `${kind}: ${sentence}`) }) === 0
    ? 0
    : 1;
}

/** Prints what was found; how many promises did not hold. */
function tell({ figures, violations }: Findings): number {
  for (const [name, figure] of Object.entries(figures)) say(`   ${name.padEnd(28)} ${figure}`);
  for (const sentence of violations) say(`   VIOLATED: ${sentence}`);
  return violations.length;
}

process.exitCode = await main().catch(saidWrongUse);
