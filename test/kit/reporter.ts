/**
 * Ends the output of every test run with one line, `N passed, N failed` (`, N skipped` when any), from the runner's own
 * counts, and makes the exit code agree with it: also when a file could not be loaded, a worker died, or no test ran at all.
 */
import { writeSync } from "node:fs";
import type { Reporter, SerializedError, TestModule } from "vitest/node";

interface Counts {
  passed: number;
  failed: number;
  readonly skipped: string[];
}

/** What the run came to. Whatever was begun and has no result counts as failed. */
export function countOf(modules: readonly TestModule[], unhandled: readonly SerializedError[]): Counts {
  const counts: Counts = { passed: 0, failed: unhandled.length, skipped: [] };
  for (const module of modules) {
    counts.failed += module.errors().length;
    for (const suite of module.children.allSuites()) counts.failed += suite.errors().length;
    for (const test of module.children.allTests()) {
      const result = test.result();
      if (result.state === "passed") counts.passed += 1;
      else if (result.state !== "skipped") counts.failed += 1;
      else counts.skipped.push(`${module.relativeModuleId} > ${skipped(test.fullName, result.note)}`);
    }
  }
  return counts;
}

/** A test that did not run, and why: its own note, or what its suite has in its name, because suites have no notes. */
export function skipped(fullName: string, note: string | undefined): string {
  const [, before, reason, after] = /^(.*?) \(skipped: (.*)\)( > .*)?$/.exec(fullName) ?? [];
  if (note !== undefined || reason === undefined) return `${fullName}: ${note ?? "no reason given"}`;
  return `${before}${after ?? ""}: ${reason}`;
}

/** The last line. */
export function lineOf(counts: Counts): string {
  const line = `${counts.passed} passed, ${counts.failed} failed`;
  return counts.skipped.length === 0 ? line : `${line}, ${counts.skipped.length} skipped`;
}

export default class CountsReporter implements Reporter {
  #counts: Counts = { passed: 0, failed: 0, skipped: [] };
  #interrupted = true;

  onInit(): void {
    // At the very end of the process, so that nothing comes after it, and so that a runner that breaks says something too.
    process.once("exit", () => this.#end());
  }

  onTestRunStart(): void {
    this.#interrupted = true;
  }

  onTestRunEnd(
    modules: readonly TestModule[],
    unhandled: readonly SerializedError[],
    reason: "passed" | "interrupted" | "failed",
  ): void {
    this.#counts = countOf(modules, unhandled);
    this.#interrupted = reason === "interrupted";
  }

  #end(): void {
    const counts = this.#counts;
    const nothing = counts.passed + counts.failed === 0;
    if (counts.failed > 0 || nothing || this.#interrupted) process.exitCode ||= 1;
    const lines = counts.skipped.map((one) => `skipped: ${one}`);
    if (nothing) lines.push("no test ran");
    else if (this.#interrupted) lines.push("the run was interrupted");
    writeSync(1, `${[...lines, lineOf(counts)].join("\n")}\n`);
  }
}
