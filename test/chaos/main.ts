/** `npm run chaos`: what may go wrong goes wrong, at full size, with real processes, a real database and a real broker. */
import { parseArgs } from "node:util";
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

function chosen(names: readonly string[]): readonly Scenario[] | string {
  const unknown = names.find((name) => !scenarios.some((scenario) => scenario.name === name));
  if (unknown !== undefined) return `there is no scenario ${JSON.stringify(unknown)}`;
  return names.length === 0 ? scenarios : scenarios.filter(({ name }) => names.includes(name));
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "5" },
      small: { type: "boolean" },
      judge: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  const rounds = Number(values.rounds);
  const played = chosen(positionals);
  if (values.help || typeof played === "string" || !Number.isSafeInteger(rounds) || rounds < 1) {
    if (typeof played === "string") say(played);
    else if (!values.help) say(`--rounds takes a whole number from 1, not ${values.rounds}`);
    say(usage);
    return values.help ? 0 : 2;
  }
  if (values.judge !== undefined) return judge(values.judge);
  return await play(played, { kind: values.small ? "small" : "full", rounds });
}

async function play(played: readonly Scenario[], size: Size): Promise<number> {
  const leave = useOwnFolder();
  try {
    let violations = 0;
    for (const scenario of played) {
      say(`== ${scenario.name}: ${scenario.about}`);
      const missing = scenario.missing?.();
      if (missing === undefined) violations += tell(await scenario.play(size, (line) => say(`   ${line}`)));
      else say(`   SKIPPED: ${missing}`);
    }
    say(`${played.length} scenarios, ${violations} violations`);
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

process.exitCode = await main();
