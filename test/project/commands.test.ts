import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { readAsked as askedOfChaos } from "../chaos/asked.ts";
import { readHistory } from "../chaos/history.ts";
import type { Scenario } from "../chaos/scenario.ts";
import { WrongUse } from "../kit/flags.ts";
import { readAsked as askedOfSimulate } from "../simulation/asked.ts";

/** The sentence with which a command line is refused. */
function refused(read: () => unknown): string {
  try {
    return JSON.stringify(read());
  } catch (error) {
    if (error instanceof WrongUse) return error.message;
    throw error;
  }
}

describe("npm run simulate", () => {
  test.each([
    [["--seeds"], "--seeds takes a value (--seeds=… when it begins with a dash)"],
    [["--seeds", "-5"], "--seeds takes a value (--seeds=… when it begins with a dash)"],
    [["--seeds=-5"], "--seeds takes a whole number from 1, not -5"],
    [["--seeds", "0"], "--seeds takes a whole number from 1, not 0"],
    [["--seed="], "--seed takes a whole number from 1, not nothing"],
    [["--seed", "1.5"], "--seed takes a whole number from 1, not 1.5"],
    [["--bogus"], "there is no flag --bogus"],
    [["-x"], "there is no flag -x"],
    [["2000"], '"2000" is not a flag; flags begin with --'],
    [["--explore=yes"], "--explore takes no value"],
    [["--seed", "5", "--seeds", "10"], "--seed and --seeds do not go together"],
    [["--planted", "--explore"], "--explore and --planted do not go together"],
    [["--explore", "--from", "3"], "--explore and --from do not go together"],
    [["--only", "fence"], "--only is for --planted only"],
    [["--seed", "4", "--record"], "--record is for --planted only"],
  ])("%j is refused: %s", (args, sentence) => {
    expect(refused(() => askedOfSimulate(args))).toBe(sentence);
  });

  test("asks for seeds, for one, for the bugs, for help", () => {
    expect(askedOfSimulate(["--seeds", "20", "--from", "7", "--processes", "2"])).toEqual({
      what: "many",
      seeds: 20,
      from: 7,
      processes: 2,
    });
    expect(askedOfSimulate([])).toMatchObject({ what: "many", seeds: 200, from: 1 });
    expect(askedOfSimulate(["--seed", "57"])).toEqual({ what: "one", seed: 57 });
    expect(askedOfSimulate(["--planted", "--only", "fence"])).toEqual({ what: "planted", record: false, only: "fence" });
    expect(askedOfSimulate(["--seeds", "x", "-h"])).toEqual({ what: "help" });
  });
});

describe("npm run chaos", () => {
  const scenarios = ["matrix", "adopt"].map((name): Scenario => ({ name, about: name, play: () => Promise.reject(new Error()) }));

  test.each([
    [["nosuch"], 'there is no scenario "nosuch"; --help lists them'],
    [["matrix", "--rounds"], "--rounds takes a value (--rounds=… when it begins with a dash)"],
    [["--rounds", "0"], "--rounds takes a whole number from 1, not 0"],
    [["--rounds", "1e3"], "--rounds takes a whole number from 1, not 1e3"],
    [["--bogus"], "there is no flag --bogus"],
    [["--judge"], "--judge takes a value (--judge=… when it begins with a dash)"],
    [["--judge", "a", "matrix"], "--judge plays no scenario; it takes one file"],
    [["--judge", "a", "--small"], "--judge and --small do not go together"],
  ])("%j is refused: %s", (args, sentence) => {
    expect(refused(() => askedOfChaos(args, scenarios))).toBe(sentence);
  });

  test("plays all scenarios, or those that are named, each once", () => {
    expect(askedOfChaos([], scenarios)).toEqual({ what: "play", played: scenarios, size: { kind: "full", rounds: 5 } });
    expect(askedOfChaos(["adopt", "adopt", "--small", "--rounds", "2"], scenarios)).toEqual({
      what: "play",
      played: [scenarios[1]],
      size: { kind: "small", rounds: 2 },
    });
    expect(askedOfChaos(["--judge", "a"], scenarios)).toEqual({ what: "judge", file: "a" });
  });

  test("what is no history is said to be none", () => {
    const folder = mkdtempSync(join(tmpdir(), "muster-history-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "history.jsonl");
    expect(refused(() => readHistory(file))).toMatch(/^the history cannot be read: ENOENT/);
    writeFileSync(file, "");
    expect(refused(() => readHistory(file))).toBe(`${file} is no history: it is empty`);
    writeFileSync(file, "# A page\n");
    expect(refused(() => readHistory(file))).toBe(`${file} is no history: line 1 is not one of its lines`);
  });
});
