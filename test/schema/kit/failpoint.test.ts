import { spawn, type ChildProcess } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, type BuildOptions } from "esbuild";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readManagerConfig } from "../../../manager/config.ts";
import { failpointProblems, failSteps } from "../../../schema/kit/failpoint.ts";
import { releaseCode } from "../../../scripts/build/code.ts";
import { readWorkerConfig } from "../../../worker/config.ts";
import { Failpoints } from "../../chaos/failpoints.ts";
import { until } from "../../kit/until.ts";

const root = join(import.meta.dirname, "../../..");
let folder: string;
let child: ChildProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "muster-failpoint-"));
});
afterEach(() => {
  child?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** A process that comes to a step five times, each with its number as data, and writes each number once it is past it. */
function walker(value: string): { readonly past: () => string; readonly exited: Promise<number | string | null> } {
  const log = join(folder, "past");
  writeFileSync(log, "");
  const code = `
    import { appendFileSync } from "node:fs";
    import { armFailpoints, reached } from ${JSON.stringify(join(root, "schema/kit/failpoint.ts"))};
    armFailpoints(${JSON.stringify(value)});
    for (const n of [1, 2, 3, 4, 5]) { reached("s08", { n }); appendFileSync(${JSON.stringify(log)}, String(n)); }`;
  child = spawn(process.execPath, ["--input-type=module-typescript", "-e", code], { stdio: "ignore" });
  const exited = new Promise<number | string | null>((done) => child?.once("exit", (status, signal) => done(signal ?? status)));
  return { past: () => readFileSync(log, "utf8"), exited };
}

test("kill: the process is gone at the nth time, by a signal that it cannot see, and did nothing after", async () => {
  const { past, exited } = walker("s08:kill:3");
  expect(await exited).toBe("SIGKILL");
  expect(past()).toBe("12");
});

test("a step alone: gone at the first time", async () => {
  const { past, exited } = walker("s08");
  expect(await exited).toBe("SIGKILL");
  expect(past()).toBe("");
});

test("stop: it stands still until SIGCONT, and then never again", async () => {
  const { past, exited } = walker("s08:stop:2");
  const state = (): string | undefined => readFileSync(`/proc/${child?.pid}/stat`, "latin1").split(") ")[1]?.[0];
  await until("it to be stopped", () => state() === "T");
  expect(past()).toBe("1");
  child?.kill("SIGCONT");
  expect(await exited).toBe(0);
  expect(past()).toBe("12345");
});

test("another step than the one that is named: nothing happens", async () => {
  const { past, exited } = walker("s07:kill");
  expect(await exited).toBe(0);
  expect(past()).toBe("12345");
});

test("hold: it stands still where the data is what was asked for, once, until it is let go", async () => {
  const points = new Failpoints(folder);
  const armed = points.arm("s08", ['"n":2']);
  const { past, exited } = walker(folder);
  expect(await armed.hit()).toBe(child?.pid);
  expect(past()).toBe("1");
  armed.letGo();
  expect(await exited).toBe(0);
  expect(past()).toBe("12345");
  expect(readdirSync(folder)).toEqual(["past"]);
});

test("hold: of two processes that come to it one stands still", async () => {
  const armed = new Failpoints(folder).arm("s08");
  const first = walker(folder);
  const pid = await armed.hit();
  const firstChild = child;
  const second = walker(folder);
  expect(await second.exited).toBe(0);
  expect(await armed.hit()).toBe(pid);
  firstChild?.kill("SIGKILL");
  expect(await first.exited).toBe("SIGKILL");
});

test("kill -9 reaches a process that stands still", async () => {
  const armed = new Failpoints(folder).arm("s08");
  const { past, exited } = walker(folder);
  await until("it to stand still", () => armed.hit());
  child?.kill("SIGKILL");
  expect(await exited).toBe("SIGKILL");
  expect(past()).toBe("");
});

test("the page on testing has every step in the same words", () => {
  const page = readFileSync(join(root, "docs/testing.md"), "utf8");
  for (const [step, { sentence }] of Object.entries(failSteps)) expect(page).toContain(`| ${step} | ${sentence} |`);
});

describe("refused", () => {
  const refusals: readonly (readonly [string, Record<string, string>, string])[] = [
    ["MUSTER_PRODUCTION", { MUSTER_PRODUCTION: "yes" }, "MUSTER_PRODUCTION is on"],
    ["NODE_ENV", { NODE_ENV: "production" }, "NODE_ENV is production"],
  ];
  test.each(refusals)("where %s says that it is production", (_what, env, why) => {
    mkdirSync(join(folder, "data"), { mode: 0o700 });
    const whole = { MUSTER_FAILPOINT: "s07:kill", MUSTER_DATA_DIR: join(folder, "data"), ...env };
    const sentence = `MUSTER_FAILPOINT makes Muster stand still or die for its own tests, and ${why}; unset it`;
    expect(() => readManagerConfig([], whole, folder)).toThrow(sentence);
    expect(() => readWorkerConfig([], { ...whole, MUSTER_WORKER_ID: "a" }, folder)).toThrow(sentence);
  });

  test.each(["s7", "s15:kill", "s07:hold", "s07:kill:0", "s07:kill:1:2", "constructor:kill", "folder"])(
    "a value that is none: %s",
    (value) => {
      const [problem = ""] = failpointProblems("MUSTER_FAILPOINT", value, { production: false, nodeEnv: undefined });
      expect(problem).toBe(
        `MUSTER_FAILPOINT is ${JSON.stringify(value)}; it takes <step>, <step>:kill, <step>:stop or one of these with :<nth time> behind it, with a step from s01 to s14; or the absolute path of a folder`,
      );
    },
  );

  test("nothing, where there is no value", () => {
    expect(failpointProblems("MUSTER_FAILPOINT", null, { production: true, nodeEnv: "production" })).toEqual([]);
    expect(failpointProblems("MUSTER_FAILPOINT", "s14:kill:2", { production: false, nodeEnv: "test" })).toEqual([]);
  });
});

describe("a release", () => {
  const bundled = async (entryPoints: string[], code: BuildOptions): Promise<string> => {
    const { outputFiles } = await build({
      ...code,
      // Ours alone: nobody else's code has a failpoint.
      packages: "external",
      absWorkingDir: root,
      entryPoints,
      outdir: folder,
      write: false,
      logLevel: "silent",
    });
    return outputFiles.map(({ text }) => text).join("\n");
  };
  const callsIn = (code: string): Set<string> =>
    new Set([...code.matchAll(/\breached\w*\("(s[0-9]+)"/g)].map(([, step = ""]) => step));
  const sentencesIn = (code: string): string[] =>
    Object.values(failSteps).flatMap(({ sentence }) => (code.includes(sentence) ? [sentence] : []));

  test("has no step, no call and nothing that stands still; the source has all of them", async () => {
    const source = globSync("{manager,worker}/**/*.ts", { cwd: root }).map((file) => readFileSync(join(root, file), "utf8"));
    expect(callsIn(source.join("\n"))).toEqual(new Set(Object.keys(failSteps)));
    const release = await bundled(["manager/main.ts", "worker/main.ts"], releaseCode);
    expect(callsIn(release)).toEqual(new Set());
    expect(sentencesIn(release)).toEqual([]);
    expect(release.includes("this is a release, which has no failpoints")).toBe(true);
  });

  test("refuses the variable", async () => {
    const entry = join(folder, "refuses.ts");
    const path = JSON.stringify(join(root, "schema/kit/failpoint.ts"));
    writeFileSync(
      entry,
      `import { failpointProblems as p } from ${path}; process.stdout.write(p("X", "s07:kill", { production: false, nodeEnv: undefined })[0] ?? "none");`,
    );
    const text = await bundled([entry], releaseCode);
    writeFileSync(join(folder, "refuses.mjs"), text);
    const run = spawn(process.execPath, [join(folder, "refuses.mjs")]);
    let said = "";
    run.stdout.on("data", (bytes: Buffer) => (said += bytes.toString()));
    await new Promise((done) => run.once("close", done));
    expect(said).toBe(
      "X makes Muster stand still or die for its own tests, and this is a release, which has no failpoints; unset it",
    );
  });
});
