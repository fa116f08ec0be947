/** `npm run chaos`: what may go wrong goes wrong, at full size, with real processes, a real database and a real broker. */
import { parseArgs } from "node:util";
import type { Scenario } from "./scenario.ts";
import { scenarios } from "./scenarios.ts";

const usage = `Usage: npm run chaos -- [scenario …] [--rounds N] [--small]

Plays every scenario, or those named, and prints what was seen. Exit code 1 when a promise did not hold.

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
    options: { rounds: { type: "string", default: "5" }, small: { type: "boolean" }, help: { type: "boolean", short: "h" } },
  });
  const rounds = Number(values.rounds);
  const played = chosen(positionals);
  if (values.help || typeof played === "string" || !Number.isSafeInteger(rounds) || rounds < 1) {
    if (typeof played === "string") say(played);
    else if (!values.help) say(`--rounds takes a whole number from 1, not ${values.rounds}`);
    say(usage);
    return values.help ? 0 : 2;
  }
  let violations = 0;
  for (const scenario of played) {
    say(`== ${scenario.name}: ${scenario.about}`);
    const missing = scenario.missing?.();
    if (missing !== undefined) {
      say(`   SKIPPED: ${missing}`);
      continue;
    }
    const found = await scenario.play({ kind: values.small ? "small" : "full", rounds }, (line) => say(`   ${line}`));
    for (const [name, figure] of Object.entries(found.figures)) say(`   ${name.padEnd(28)} ${figure}`);
    for (const sentence of found.violations) say(`   VIOLATED: ${sentence}`);
    violations += found.violations.length;
  }
  say(`${played.length} scenarios, ${violations} violations`);
  return violations === 0 ? 0 : 1;
}

process.exitCode = await main();
