import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { until } from "../kit/until.ts";

const root = join(import.meta.dirname, "../..");
const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A tree with the launcher in it, and a `manager/main.ts` of our own. */
function tree(main: string): string {
  const folder = mkdtempSync(join(tmpdir(), "muster-launcher-"));
  folders.push(folder);
  for (const part of ["scripts/muster.mjs", "scripts/follow-parent.ts"])
    cpSync(join(root, part), join(folder, part), { recursive: true });
  mkdirSync(join(folder, "manager"));
  mkdirSync(join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "manager/main.ts"), main);
  return folder;
}

/** A preload that makes the launcher believe it runs on this Node. */
function pretend(version: string): string[] {
  const versions = `{ ...process.versions, node: ${JSON.stringify(version)} }`;
  return ["--import", `data:text/javascript,Object.defineProperty(process, "versions", { value: ${versions} })`];
}

function run(folder: string, args: readonly string[], options: { node?: readonly string[]; env?: Record<string, string> } = {}) {
  return spawnSync(process.execPath, [...(options.node ?? []), join(folder, "scripts/muster.mjs"), ...args], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"] ?? "", ...options.env },
  });
}

test.each([
  ["18.20.8", "10.9.0", "muster: needs Node 20.19.0 or newer to come up; this is 18.20.8."],
  ["20.18.3", "10.9.0", "muster: needs Node 20.19.0 or newer to come up; this is 20.18.3."],
  ["20.19.0", "9.9.4", "muster: needs npm 10.0.0 or newer; this is 9.9.4."],
])("Node %s with npm %s is answered by one sentence", (node, npm, sentence) => {
  const folder = tree("");
  const env = { npm_config_user_agent: `npm/${npm} node/v${node} linux x64 workspaces/false` };
  const done = run(folder, ["manager"], { node: pretend(node), env });
  expect(done.status).toBe(1);
  expect(done.stderr.startsWith(sentence)).toBe(true);
  expect(done.stderr.trim().split("\n")).toHaveLength(1);
  expect(done.stdout).toBe("");
});

test("on an old but sufficient Node it takes the pinned one, without its .bin link", () => {
  const folder = tree("console.log(process.argv.slice(2).join(' ')); process.exit(7);");
  const pinned = join(folder, "node_modules", `node-${process.platform}-${process.arch}`, "bin");
  mkdirSync(pinned, { recursive: true });
  writeFileSync(join(pinned, "node"), `#!/bin/sh\necho pinned\nexec "${process.execPath}" "$@"\n`, { mode: 0o755 });
  const env = { npm_config_user_agent: "npm/10.0.0 node/v20.19.0 linux x64" };
  const done = run(folder, ["manager", "--a b", "$HOME"], { node: pretend("20.19.0"), env });
  expect(done.stdout).toBe("pinned\n--a b $HOME\n");
  expect(done.status).toBe(7);
});

test("a pinned Node that cannot run leaves a running one that is new enough", () => {
  const folder = tree("console.log('ran');");
  const pinned = join(folder, "node_modules", `node-${process.platform}-${process.arch}`, "bin");
  mkdirSync(pinned, { recursive: true });
  writeFileSync(join(pinned, "node"), "#!/no/such/loader\n", { mode: 0o755 });
  const done = run(folder, ["manager"]);
  expect(done.stdout).toBe("ran\n");
  expect(done.status).toBe(0);
});

test("no Node that is new enough is answered by one sentence", () => {
  const done = run(tree(""), ["manager"], { node: pretend("22.4.0") });
  expect(done.status).toBe(1);
  expect(done.stderr).toMatch(/^muster: runs on Node 24\.15\.0 or newer.*This is Node 22\.4\.0 on .*\n$/);
});

test("without node_modules it says npm ci", () => {
  const folder = tree("");
  rmSync(join(folder, "node_modules"), { recursive: true });
  const done = run(folder, ["manager"]);
  expect(done.stderr).toBe("muster: its packages are not installed. Run: npm ci\n");
  expect(done.status).toBe(1);
});

test("an unknown command names those it knows", () => {
  const done = run(tree(""), ["mnager"]);
  expect(done.status).toBe(2);
  expect(done.stderr).toContain('knows no command "mnager"; it knows start, manager, worker, broker, token');
});

test("without a command, or asked for help, it says what each is for", () => {
  const folder = tree("");
  const help = run(folder, ["--help"]);
  expect(help).toMatchObject({ status: 0, stderr: "" });
  expect(help.stdout).toMatch(/^ {2}doctor +checks a running system and a data folder/m);
  expect(run(folder, [])).toMatchObject({ status: 2, stdout: "", stderr: help.stdout });
});

const counting = `
let signals = 0;
process.on("SIGINT", () => { signals += 1; console.log("interrupted"); if (signals === 2) process.exit(40 + signals); });
process.on("SIGTERM", () => { setTimeout(() => process.exit(50 + signals), 50); });
setInterval(() => {}, 1000);
console.log("up");
`;

/** A preload with which no time passes for the launcher. */
const noTimePasses = ["--import", "data:text/javascript,Date.now = () => 1_700_000_000_000;"];

test.each([
  ["SIGINT twice at once, as npm and the terminal send it, counts as one", ["SIGINT", "SIGINT", "SIGTERM"], 51],
  ["SIGTERM alone is passed on", ["SIGTERM"], 50],
] as const)("%s", async (_name, signals, code) => {
  const folder = tree(counting);
  const child = spawn(process.execPath, [...noTimePasses, join(folder, "scripts/muster.mjs"), "manager"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  child.stdout.on("data", (bytes: Buffer) => (said += bytes.toString()));
  const exited = once(child, "exit");
  await until("it to be up", () => said.includes("up"));
  for (const signal of signals) {
    child.kill(signal);
    // One at a time: the kernel makes one of two that nobody has taken.
    if (signal === "SIGINT") await until("it to be passed on", () => said.includes("interrupted"));
  }
  expect((await exited)[0]).toBe(code);
});

test("a child that a signal ended ends the launcher by the same signal", async () => {
  const folder = tree("process.kill(process.pid, 'SIGKILL');");
  const child = spawn(process.execPath, [join(folder, "scripts/muster.mjs"), "manager"], { stdio: "ignore" });
  const [, signal] = await once(child, "exit");
  expect(signal).toBe("SIGKILL");
});

test("a shell between npm and the launcher that a signal ended ends what runs", async () => {
  const folder = tree(
    "process.on('SIGTERM', () => { console.log('bye'); process.exit(0); }); setInterval(() => {}, 1000); console.log('up');",
  );
  // The second command keeps the shell from becoming the launcher.
  const shell = spawn("sh", ["-c", `"${process.execPath}" scripts/muster.mjs manager; true`], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(shell.stdout, "data");
  const bye = once(shell.stdout, "data");
  shell.kill("SIGTERM");
  expect(String((await bye)[0])).toContain("bye");
});

test("kill -9 of the launcher ends what it started", async () => {
  const folder = tree(
    "import { writeFileSync } from 'node:fs'; process.on('SIGTERM', () => { writeFileSync('ended', ''); console.log('bye'); process.exit(0); }); setInterval(() => {}, 1000); console.log('up');",
  );
  const child = spawn(process.execPath, [join(folder, "scripts/muster.mjs"), "manager"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  const bye = once(child.stdout, "data");
  child.kill("SIGKILL");
  expect(String((await bye)[0])).toContain("bye");
  expect(existsSync(join(folder, "ended"))).toBe(true);
});
