import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startLimits } from "../../scripts/start/limits.ts";
import { forPeople, openChildLog } from "../../scripts/start/child-log.ts";
import { until } from "../kit/until.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "muster-log-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const textOf = (file: string): string => (existsSync(file) ? readFileSync(file, "utf8") : "");

test.each([
  ["a plain line", "muster manager: no", "muster manager: no"],
  ["an empty line", "", undefined],
  ["half a line of JSON", '{"level":"err', '{"level":"err'],
  ["info", '{"level":"info","name":"worker","msg":"hello"}', undefined],
  ["a warning", '{"level":"warn","name":"worker","msg":"slow"}', "worker warn: slow"],
  [
    "a warning that says why",
    '{"level":"warn","name":"worker","msg":"not connected","why":"nothing listens there"}',
    "worker warn: not connected: nothing listens there",
  ],
  [
    "an error with its reason",
    '{"level":"error","name":"manager","msg":"commit","err":{"message":"disk full"}}',
    "manager error: commit: disk full",
  ],
])("%s on the terminal", (_name, line, shown) => {
  expect(forPeople(line)).toBe(shown);
});

test("every line is in the file, for its owner alone; warnings are shown as well", async () => {
  const shown: string[] = [];
  const log = openChildLog(folder, "worker", (line) => shown.push(line));
  const stream = new PassThrough();
  log.take(stream);
  stream.end('{"level":"info","msg":"a"}\n{"level":"warn","name":"worker","msg":"b"}\nlast words');
  const file = join(folder, "worker.log");
  await until(
    "the file to be whole",
    () => textOf(file) === '{"level":"info","msg":"a"}\n{"level":"warn","name":"worker","msg":"b"}\nlast words\n',
  );
  expect(shown).toEqual(["worker warn: b", "last words"]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  log.close();
});

test("a full file is set aside, and only so many are kept", async () => {
  const file = join(folder, "manager.log");
  for (let n = 1; n <= startLimits.logFiles + 2; n++) {
    writeFileSync(file, "");
    truncateSync(file, startLimits.logFileBytes);
    const log = openChildLog(folder, "manager", () => {});
    const stream = new PassThrough();
    log.take(stream);
    stream.end(`line ${n}\n`);
    await until("the new line", () => textOf(file) === `line ${n}\n`);
    log.close();
  }
  expect(readdirSync(folder).toSorted()).toEqual([
    "manager.log",
    ...Array.from({ length: startLimits.logFiles - 1 }, (_, i) => `manager.log.${i + 1}`),
  ]);
});
