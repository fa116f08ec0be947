import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DriverHost } from "../../../worker/drivers/driver.ts";
import exec from "../../../worker/drivers/exec.ts";
import { loadDrivers } from "../../../worker/drivers/load.ts";
import script from "../../../worker/drivers/script.ts";
import { findFacts, type HostFacts } from "../../../worker/facts.ts";
import { openRig, type Rig } from "../process/kit.ts";

const systemPath = "/usr/local/bin:/usr/bin:/bin";
let rig: Rig;
let found: HostFacts;
beforeAll(async () => {
  rig = await openRig();
  found = await findFacts({ path: systemPath, drivers: ["exec", "script"], agentVersion: "1" });
});
afterAll(() => rig[Symbol.asyncDispose]());

function hostOf(attempt: string): DriverHost {
  return { facts: found.facts, interpreter: (name) => found.interpreters.get(name), folder: rig.host.folderOf(attempt) };
}

let count = 0;
/** Runs a script as the worker does: driver, then host; its output lines. */
async function runScript(spec: Record<string, unknown>, stdin: string | null = null): Promise<{ code: number; out: string[] }> {
  const attempt = `script-${++count}`;
  const launch = script.prepare(spec, hostOf(attempt));
  if ("why" in launch) throw new Error(launch.why);
  rig.launch(launch.program, launch.args, { attempt, launch, stdin, env: { PARAM_city: "Brno" } });
  const { exit } = await rig.ended(attempt);
  if (exit.read !== "code") throw new Error(`${JSON.stringify(exit)}: ${rig.output(attempt, "stderr").toString()}`);
  return { code: exit.code, out: rig.output(attempt).toString().split("\n") };
}

describe("the script driver, for real", () => {
  const shell = 'echo "$PARAM_city $# $1"; sort | uniq -c | tr -s " "; exit 3';
  const scripts: Readonly<Record<string, string>> = {
    sh: shell,
    bash: `[[ -n $BASH_VERSION ]] || exit 99\n${shell}`,
    ksh: `typeset -A map; map[x]=1\n${shell}`,
    python:
      "import os, sys, collections\nprint(os.environ['PARAM_city'], len(sys.argv) - 1, sys.argv[1])\nfor line, n in sorted(collections.Counter(sys.stdin.read().split()).items()): print('', n, line)\nsys.exit(3)",
    node: "const lines = require('node:fs').readFileSync(0, 'utf8').trim().split('\\n'); console.log(process.env.PARAM_city, process.argv.length - 2, process.argv[2]); for (const l of [...new Set(lines)].sort()) console.log('', lines.filter((x) => x === l).length, l); process.exit(3)",
    perl: 'my %n; print "$ENV{PARAM_city} ", scalar(@ARGV), " $ARGV[0]\\n"; while (<STDIN>) { chomp; $n{$_}++ } print " $n{$_} $_\\n" for sort keys %n; exit 3;',
  };
  test.for(Object.entries(scripts))(
    "%s gets its arguments, parameters and input, and its exit code comes back",
    async ([interpreter, text], ctx) => {
      if (!found.interpreters.has(interpreter)) ctx.skip(`${interpreter} is not on this host`);
      expect(await runScript({ interpreter, script: text, args: ["it's $HOME `id`", "two"] }, "b\na\nb\n")).toEqual({
        code: 3,
        out: ["Brno 2 it's $HOME `id`", " 1 a", " 2 b", ""],
      });
    },
  );

  test("node takes ES modules too, whatever package.json lies above the data folder", async () => {
    writeFileSync(join(rig.folder, "package.json"), '{"type":"commonjs"}');
    const attempt = "es-module";
    // The pinned Node: an older one on the PATH does not tell modules by their syntax.
    const host: DriverHost = { ...hostOf(attempt), interpreter: () => process.execPath };
    const launch = script.prepare({ interpreter: "node", script: "import { sep } from 'node:path'; console.log(sep)" }, host);
    if ("why" in launch) throw new Error(launch.why);
    rig.launch(launch.program, launch.args, { attempt, launch });
    await rig.ended(attempt);
    expect(rig.output(attempt).toString()).toBe("/\n");
  });

  test("a script of any bytes arrives as it was sent", async () => {
    const bytes = Buffer.concat([Buffer.from("printf '"), Buffer.from([0xe9, 0xff, 0x01]), Buffer.from("'")]);
    const attempt = "bytes";
    const launch = script.prepare({ interpreter: "bash", scriptBase64: bytes.toString("base64") }, hostOf(attempt));
    if ("why" in launch) throw new Error(launch.why);
    rig.launch(launch.program, launch.args, { attempt, launch });
    await rig.ended(attempt);
    expect([...rig.output(attempt)]).toEqual([0xe9, 0xff, 0x01]);
  });
});

describe("drivers build commands", () => {
  const windows: DriverHost = {
    facts: {} as HostFacts["facts"],
    interpreter: (name) => `C:\\bin\\${name}.exe`,
    folder: "C:\\data\\a1",
  };

  test("exec passes program and arguments on", () => {
    expect(exec.prepare({ program: "/bin/echo", args: ["a b", "$x"] }, windows)).toEqual({
      program: "/bin/echo",
      args: ["a b", "$x"],
      files: [],
      env: {},
    });
    expect(exec.prepare({ program: "ls" }, windows)).toMatchObject({ args: [] });
    expect(exec.prepare({}, windows)).toEqual({ why: expect.stringContaining("no program") });
    expect(exec.prepare({ program: "ls", args: [1] }, windows)).toEqual({ why: expect.stringContaining("list of strings") });
  });

  test.for(["pwsh", "powershell"])("%s runs the script in a wrapper that keeps its exit code", (interpreter) => {
    const launch = script.prepare({ interpreter, script: "exit 3", args: ["a"] }, windows);
    expect(launch).toMatchObject({
      program: `C:\\bin\\${interpreter}.exe`,
      args: ["-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File", "C:\\data\\a1/wrapper.ps1", "a"],
    });
    if ("why" in launch) throw new Error(launch.why);
    expect(launch.files.map(({ name }) => name)).toEqual(["script.ps1", "wrapper.ps1"]);
    expect([...(launch.files[0]?.bytes ?? [])].slice(0, 3)).toEqual([0xef, 0xbb, 0xbf]);
    expect(Buffer.from(launch.files[1]?.bytes ?? []).toString()).toMatch(/exit \$LASTEXITCODE[^]*catch[^]*exit 1/);
  });

  test.for(["cmd", "bat"])("%s is called by one quoted command, with Windows line ends and no arguments", (interpreter) => {
    const launch = script.prepare({ interpreter, script: "@echo off\ngoto end\r\n:end\n" }, windows);
    expect(launch).toMatchObject({ args: ["/d", "/s", "/c", `"call "C:\\data\\a1\\script.${interpreter}""`] });
    if ("why" in launch) throw new Error(launch.why);
    expect(Buffer.from(launch.files[0]?.bytes ?? []).toString()).toBe("@echo off\r\ngoto end\r\n:end\r\n");
    expect(script.prepare({ interpreter, script: "x", args: ["&calc"] }, windows)).toEqual({
      why: expect.stringContaining("PARAM_"),
    });
  });

  test.for([
    [{ interpreter: "cobol", script: "x" }, "use one of sh, bash"],
    [{ interpreter: "toString", script: "x" }, "use one of"],
    [{ interpreter: "bash", script: null }, "no script yet"],
    [{ interpreter: "pwsh", script: "x" }, "this worker has no pwsh"],
  ] as const)("%j says why not", ([spec, why]) => {
    const none: DriverHost = { ...windows, interpreter: (name) => (name === "bash" ? "/bin/bash" : undefined) };
    expect(script.prepare(spec, none)).toEqual({ why: expect.stringContaining(why) });
  });
});

describe("drivers of third parties", () => {
  const folder = mkdtempSync(join(tmpdir(), "muster-drivers-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const module = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  test("are loaded beside our own", async () => {
    const path = module(
      "echo.ts",
      'import type { Driver } from "x";\nconst d = { name: "echo", prepare: (spec: object) => ({ program: "/bin/echo", args: [JSON.stringify(spec)], files: [], env: {} }) };\nexport default d;',
    );
    const drivers = await loadDrivers([path]);
    expect([...drivers.keys()]).toEqual(["exec", "script", "echo"]);
    expect(drivers.get("echo")?.prepare({ a: 1 }, hostOf("x"))).toMatchObject({ args: ['{"a":1}'] });
  });

  test.for([
    ["not-there.ts", undefined, "cannot be loaded"],
    ["syntax.ts", "export default {", "cannot be loaded"],
    ["throws.ts", "throw new Error('no licence')", "no licence"],
    ["empty.ts", "export const name = 'x'", "no default export"],
    ["noname.ts", "export default { prepare() {} }", "needs a name"],
    ["badname.ts", "export default { name: 'A B', prepare() {} }", "needs a name"],
    ["noprepare.ts", "export default { name: 'x' }", "no function prepare"],
    ["exec.ts", "export default { name: 'exec', prepare() {} }", "of that name already"],
  ] as const)("%s is refused with a sentence that names it", async ([name, text, why]) => {
    const path = text === undefined ? join(folder, name) : module(name, text);
    await expect(loadDrivers([path])).rejects.toThrow(path);
    await expect(loadDrivers([path])).rejects.toThrow(why);
  });

  test("a relative path is refused", async () => {
    await expect(loadDrivers(["driver.ts"])).rejects.toThrow("absolute path");
  });
});
