/** `npm run check`: every static check, side by side, one line each; what a failed one says stands below the lines. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { processClock } from "../schema/kit/clock.ts";

const root = join(import.meta.dirname, "..");

interface Check {
  readonly name: string;
  /** What is run, under this Node; paths from the root. */
  readonly run: readonly string[];
  /** What to do when it fails. */
  readonly hint: string;
}

const checks: readonly Check[] = [
  { name: "types", run: ["node_modules/typescript/bin/tsc", "--noEmit"], hint: "tsc names the line" },
  { name: "lint", run: ["node_modules/oxlint/bin/oxlint", "--deny-warnings"], hint: "the rules are in .oxlintrc.json" },
  { name: "format", run: ["node_modules/oxfmt/bin/oxfmt", "--check"], hint: "npm run format" },
  { name: "unused", run: ["node_modules/knip/bin/knip.js", "--no-config-hints"], hint: "drop what nobody uses" },
  { name: "generated", run: ["scripts/generate.ts", "--check"], hint: "npm run generate" },
];

interface Result {
  readonly check: Check;
  readonly ok: boolean;
  readonly seconds: number;
  readonly output: string;
}

function runCheck(check: Check): Promise<Result> {
  const begun = processClock.now().mono;
  return new Promise((resolve) => {
    const [script, ...args] = check.run as [string, ...string[]];
    const child = spawn(process.execPath, [join(root, script), ...args], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    const output: Buffer[] = [];
    child.stdout.on("data", (bytes: Buffer) => output.push(bytes));
    child.stderr.on("data", (bytes: Buffer) => output.push(bytes));
    const done = (ok: boolean, more = ""): void =>
      resolve({ check, ok, seconds: (processClock.now().mono - begun) / 1_000, output: Buffer.concat(output).toString() + more });
    child.on("error", (error) => done(false, error.message));
    child.on("close", (code) => done(code === 0));
  });
}

async function main(): Promise<void> {
  const results = await Promise.all(
    checks.map(async (check) => {
      const result = await runCheck(check);
      const verdict = result.ok ? "ok" : `FAILED (${check.hint})`;
      process.stdout.write(`${check.name.padEnd(10)} ${result.seconds.toFixed(1).padStart(5)} s  ${verdict}\n`);
      return result;
    }),
  );
  const failed = results.filter((result) => !result.ok);
  for (const { check, output } of failed) process.stdout.write(`\n--- ${check.name}\n${output.trimEnd()}\n`);
  if (failed.length > 0) process.exitCode = 1;
}

await main();
