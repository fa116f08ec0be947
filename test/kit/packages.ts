/**
 * Real programs that tests run, from Debian's packages: installed once, before the first test, when they are missing and we
 * may. What cannot be installed is skipped by its tests, with the reason. `MUSTER_TEST_INSTALL=no` installs nothing.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";

/** A program, and the package of Debian that it comes with. */
export interface Packaged {
  readonly program: string;
  readonly pkg: string;
}

const programs: readonly Packaged[] = [
  { program: "python3", pkg: "python3" },
  { program: "perl", pkg: "perl" },
  { program: "ksh", pkg: "ksh" },
  { program: "busybox", pkg: "busybox" },
  { program: "faketime", pkg: "faketime" },
  { program: "mosquitto", pkg: "mosquitto" },
  { program: "mariadbd", pkg: "mariadb-server" },
  { program: "nats-server", pkg: "nats-server" },
  { program: "promtool", pkg: "prometheus" },
  { program: "nginx", pkg: "nginx-light" },
  { program: "openssl", pkg: "openssl" },
];

/** Asked by Debian's packages before they start a service; 101 says no: tests start what they need themselves. */
const policy = "/usr/sbin/policy-rc.d";

export default function installPackages(): void {
  installMissing(programs, "what tests need", say);
}

/**
 * Installs the packages whose programs are not there, after a line that says so; or says why it does not. Never throws: whoever
 * needs a program looks for it, and says what it leaves out when it is missing.
 */
export function installMissing(wanted: readonly Packaged[], what: string, say: (sentence: string) => void): void {
  const missing = wanted.filter(({ program }) => !isThere(program)).map(({ pkg }) => pkg);
  if (missing.length === 0) return;
  const line = `apt-get install ${missing.join(" ")}`;
  if (process.env["MUSTER_TEST_INSTALL"] === "no") return say(`not installed, and left out: ${missing.join(" ")}`);
  if (process.getuid?.() !== 0 || !isThere("apt-get")) return say(`missing, and left out; as root: ${line}`);
  say(`installing ${what}: ${line} (MUSTER_TEST_INSTALL=no turns this off)`);
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    apt(["update", "-qq"]);
    apt(["install", "-y", "-qq", "--no-install-recommends", ...missing]);
  } catch (error) {
    say(
      `apt-get failed, and what it did not install is left out: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`,
    );
  } finally {
    if (ours) rmSync(policy, { force: true });
  }
}

export function isThere(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" }).status === 0;
}

function apt(args: readonly string[]): void {
  execFileSync("apt-get", ["-o", "DPkg::Lock::Timeout=300", ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
}

function say(sentence: string): void {
  process.stdout.write(`${sentence}\n`);
}
