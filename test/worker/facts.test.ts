import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, hostname, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { facts as factsSchema } from "../../schema/worker.ts";
import { findFacts, survives } from "../../worker/facts.ts";
import { memoryLimitBytes } from "../../worker/memory.ts";
import { judgeSurvival, unitOf, type AgentPlace } from "../../worker/survival.ts";

const folder = mkdtempSync(join(tmpdir(), "muster-facts-"));
afterAll(() => rmSync(folder, { recursive: true }));

function bin(name: string, programs: Readonly<Record<string, string>>): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  for (const [program, text] of Object.entries(programs)) {
    writeFileSync(join(path, program), `#!/bin/sh\n${text}\n`);
    chmodSync(join(path, program), 0o755);
  }
  return path;
}

const ask = { drivers: ["exec"], agentVersion: "9.9.9" };

describe("facts", () => {
  test("say what this host is", async () => {
    const { facts, interpreters } = await findFacts({ ...ask, path: "/usr/local/bin:/usr/bin:/bin" });
    expect(factsSchema.parse(facts)).toEqual(facts);
    expect(facts).toMatchObject({
      os: "linux",
      arch: process.arch,
      hostname: hostname(),
      cpus: availableParallelism(),
      drivers: ["exec"],
      agentVersion: "9.9.9",
      nodeVersion: process.versions.node,
      bootId: readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim(),
    });
    expect(facts.memoryMb).toBeGreaterThan(0);
    expect(facts.memoryMb).toBeLessThanOrEqual(totalmem() / 1_048_576);
    expect([...interpreters.keys()]).toEqual(Object.keys(facts.interpreters));
    expect(facts.interpreters["sh"]).toBeDefined();
    for (const file of interpreters.values()) expect(file).toMatch(/^\//);
    expect(facts.interpreters).not.toHaveProperty("cmd");
  });

  test("take the best name that works, and note what does not", async () => {
    const path = bin("some", {
      python3: "echo 'Python 3.99.1'",
      python: "echo 'Python 2.7.18' >&2",
      ksh: "exit 5",
      mksh: 'echo "@(#)MIRBSD KSH R59"',
      perl: "echo nonsense",
      bash: "echo 'GNU bash, version 4.2.46(2)-release'",
    });
    const notes: string[] = [];
    const { facts, interpreters } = await findFacts({ ...ask, path, note: (sentence) => notes.push(sentence) });
    expect(facts.interpreters).toEqual({
      bash: "4.2.46",
      ksh: expect.stringMatching(/^[0-9]/),
      python: "3.99.1",
      node: process.versions.node,
    });
    expect(interpreters.get("python")).toBe(join(path, "python3"));
    expect(interpreters.get("ksh")).toBe(join(path, "mksh"));
    // The agent's own, for there is none on this path.
    expect(interpreters.get("node")).toBe(process.execPath);
    expect(notes).toEqual(
      expect.arrayContaining([expect.stringContaining(join(path, "ksh")), expect.stringContaining(join(path, "perl"))]),
    );
  });

  test("do not wait for an interpreter that hangs, nor give it the agent's environment", async () => {
    process.env["SOME_SECRET"] = "of the agent";
    const witness = join(folder, "witness");
    const path = bin("hangs", { python3: "exec /bin/sleep 600", bash: `/usr/bin/env >'${witness}'; echo 'version 5.0'` });
    const notes: string[] = [];
    const { facts } = await findFacts({ ...ask, path, note: (sentence) => notes.push(sentence) });
    expect(Object.keys(facts.interpreters)).toEqual(["bash", "node"]);
    expect(notes).toEqual([expect.stringContaining("no answer within 5000 ms")]);
    expect(readFileSync(witness, "utf8")).not.toContain("SOME_SECRET");
    delete process.env["SOME_SECRET"];
  }, 30_000);
});

describe("the memory limit", () => {
  const root = join(folder, "cgroup");
  const put = (path: string, text: string): void => {
    mkdirSync(join(root, path, ".."), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  test("is the smallest on the way up, in either version of control groups", () => {
    put("a/memory.max", "2000\n");
    put("a/b/memory.max", "max\n");
    put("a/b/c/memory.max", "3000\n");
    put("memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("memory/x/memory.limit_in_bytes", "1500\n");
    expect(memoryLimitBytes("0::/a/b/c\n", root)).toBe(2_000);
    expect(memoryLimitBytes("5:cpu:/\n4:memory:/x/y\n0::/\n", root)).toBe(1_500);
    expect(memoryLimitBytes("4:memory:/not/here\n", root)).toBeGreaterThan(2 ** 62);
    expect(memoryLimitBytes("0::/nowhere\n", root)).toBe(Infinity);
    expect(memoryLimitBytes("", root)).toBe(Infinity);
  });
});

describe("survival", () => {
  const free: AgentPlace = {
    system: "linux",
    pid: 100,
    parentPid: 50,
    initName: "systemd",
    unit: undefined,
    killMode: undefined,
  };
  test.for<[string, Partial<AgentPlace>, boolean, string]>([
    ["a login shell", {}, true, "outside"],
    ["process 1", { pid: 1, parentPid: 0 }, false, "process 1"],
    ["the child of a container's init", { parentPid: 1, initName: "tini" }, false, "tini"],
    ["started by a real init", { parentPid: 1, initName: "init" }, true, "outside"],
    ["a service with KillMode=process", { unit: "m.service", killMode: "process" }, true, "KillMode=process"],
    ["a service as systemd makes it", { unit: "m.service", killMode: "control-group" }, false, "set KillMode=process"],
    ["a service that says nothing", { unit: "m.service" }, false, "cannot be read"],
    ["Windows", { system: "win32" }, false, "Windows"],
  ])("%s", ([, place, expected, why]) => {
    expect(judgeSurvival({ ...free, ...place })).toEqual({ survives: expected, why: expect.stringContaining(why) });
  });

  test("finds the service of the agent, and takes a session for none", () => {
    expect(unitOf("0::/system.slice/muster-worker.service\n")).toBe("muster-worker.service");
    expect(unitOf("0::/system.slice/muster-worker.service/sub\n")).toBe("muster-worker.service");
    expect(unitOf("9:name=systemd:/system.slice/m.service\n0::/\n")).toBe("m.service");
    expect(unitOf("0::/user.slice/user-1000.slice/session-2.scope\n")).toBeUndefined();
    expect(unitOf("0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n")).toBeUndefined();
    expect(unitOf("0::/user.slice/user-1000.slice/user@1000.service/app.slice/m.service\n")).toBe("m.service");
    expect(unitOf("")).toBeUndefined();
  });

  test("of this very process is judged from what is really there", () => {
    const unit = unitOf(readFileSync("/proc/self/cgroup", "latin1"));
    const { survives: yes, why } = survives();
    expect(why).toContain(unit ?? (yes ? "outside of systemd services" : "container"));
  });
});
