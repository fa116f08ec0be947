/**
 * A host of its own for a worker, made of name spaces: process ids that begin at 1 and are given out as one wants, a boot id
 * and an uptime of its own, and a power switch. The disk, the network and the processors are this machine's.
 */
import { randomUUID } from "node:crypto";
import { execFile, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { until } from "./until.ts";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");

/** Process 1 of the host: it ignores its children's ends, so the kernel buries them, as every init sees to. */
const init = `$SIG{CHLD} = "IGNORE"; $| = 1; print "up\\n"; sleep 1000 while 1;`;

/** Notes every signal that can be caught and goes on. */
const counter = `
my $file = shift; open(my $out, ">>", $file) or die;
for my $name (grep { !/^(KILL|STOP|CHLD|CLD|__\\w+__|NUM\\d+)$/ } keys %SIG) { $SIG{$name} = sub { syswrite($out, "$name\\n") } }
syswrite($out, "ready\\n"); sleep 1000 while 1;`;

/** A stranger's process that counts the signals it gets. It leads a process group and a session, as a shim does. */
export interface Decoy {
  /** As its own host counts. */
  readonly pid: number;
  /** Clock ticks since the host's boot, as proc_pid_stat(5) has it. */
  readonly startTicks: number;
  /** Signals that it caught so far, by name. */
  caught(): string[];
}

/** Why no such host can be had here; undefined when it can. */
export function ownHostMissing(): string | undefined {
  const tried = spawnSync("unshare", ["--fork", "--pid", "--mount", "--mount-proc", "--time", "perl", "-e", "exit 0"]);
  if (tried.status === 0) return undefined;
  return `no host of its own can be made with unshare(1) and perl: ${String(tried.stderr ?? tried.error?.message ?? "").trim()}`;
}

export class OwnHost implements AsyncDisposable {
  readonly bootId: string;
  /** What a command runs under that shall run there. */
  readonly before: readonly string[];
  readonly #folder: string;
  readonly #unshare: ChildProcess;
  #decoys = 0;

  private constructor(folder: string, bootId: string, unshare: ChildProcess, initPid: number) {
    this.#folder = folder;
    this.bootId = bootId;
    this.#unshare = unshare;
    this.before = ["nsenter", "-t", String(initPid), "-p", "-m", "-T", `--wdns=${root}`, "--"];
  }

  /** Switches one on. Its uptime begins a minute after its boot. */
  static async boot(): Promise<OwnHost> {
    const folder = mkdtempSync(join(tmpdir(), "muster-host-"));
    mkdirSync(join(folder, "decoys"));
    const bootId = randomUUID();
    writeFileSync(join(folder, "boot_id"), `${bootId}\n`);
    const uptime = Math.floor(Number.parseFloat(readFileSync("/proc/uptime", "latin1")));
    const spaces = ["--fork", "--kill-child", "--pid", "--mount", "--mount-proc", "--time", "--boottime", String(60 - uptime)];
    const begin = `mount --bind '${folder}/boot_id' /proc/sys/kernel/random/boot_id && exec perl -e '${init}'`;
    const unshare = spawn("unshare", [...spaces, "sh", "-c", begin], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise<void>((resolve, reject) => {
      unshare.once("error", reject);
      unshare.once("exit", (code) => reject(new Error(`the host ended at its boot: ${code}`)));
      unshare.stdout?.once("data", () => resolve());
    });
    const pid = unshare.pid ?? 0;
    return new OwnHost(folder, bootId, unshare, Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1")));
  }

  /** Runs a script for sh there and gives its output; rejects when it fails. */
  async sh(script: string, ...args: readonly string[]): Promise<string> {
    const [program = "", ...rest] = [...this.before, "sh", "-c", script, "sh", ...args];
    return (await run(program, rest, { timeout: 60_000, killSignal: "SIGKILL" })).stdout;
  }

  /** Kills a process there, by its number there. */
  async kill(pid: number): Promise<void> {
    await this.sh(`kill -s KILL ${pid}`);
  }

  /** A decoy; with `pid` one that has just this number, which nobody may have any more. */
  async decoy(pid?: number): Promise<Decoy> {
    const file = join(this.#folder, "decoys", String(this.#decoys++));
    const script = join(this.#folder, "counter.pl");
    writeFileSync(script, counter);
    // Another process may be born between the two lines, or have the number for a moment; then once more.
    const take = `pid=$1; tries=0
[ $$ != "$pid" ] || { echo 0; exit 0; }
while [ $tries -lt 500 ]; do
  tries=$((tries+1))
  [ -z "$pid" ] || echo $((pid-1)) >/proc/sys/kernel/ns_last_pid
  setsid perl "$2" "$3" </dev/null >/dev/null 2>&1 &
  if [ -z "$pid" ] || [ $! = "$pid" ]; then echo $!; exit 0; fi
  kill -s KILL $!
  sleep 0.02
done
exit 1`;
    let taken = 0;
    // The shell that is to make it may have the number itself; the next one has another.
    while (taken === 0) taken = Number(await this.sh(take, pid === undefined ? "" : String(pid), script, file));
    const caught = (): string[] => readFileSync(file, "latin1").trim().split("\n").slice(1);
    await until(`the decoy ${taken} to count`, () => readOr(file).startsWith("ready"));
    const stat = await this.sh(`cat /proc/${taken}/stat`);
    return { pid: taken, startTicks: Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]), caught };
  }

  /** What happened to the decoys that must not: one sentence for each that caught a signal, was stopped or is gone. */
  async harmed(decoys: readonly Decoy[]): Promise<string[]> {
    const states = await this.sh(
      `for pid in "$@"; do cut -d')' -f2 "/proc/$pid/stat" 2>/dev/null || echo gone; done`,
      ...decoys.map(({ pid }) => String(pid)),
    );
    const lines = states.trim().split("\n");
    return decoys.flatMap((decoy, i) => {
      const caught = decoy.caught();
      const state = lines[i]?.trim().split(" ")[0];
      if (caught.length > 0) return [`a stranger under the recorded pid ${decoy.pid} got ${caught.join(", ")}`];
      return state === "S" || state === "R"
        ? []
        : [`a stranger under the recorded pid ${decoy.pid} is ${state === "gone" ? "gone" : `in state ${state}`}`];
    });
  }

  /** Power off: everything that runs there is gone at once, and nobody could say goodbye. The files stay. */
  async off(): Promise<void> {
    const gone = new Promise((resolve) => this.#unshare.once("exit", resolve));
    this.#unshare.kill("SIGKILL");
    if (this.#unshare.exitCode === null && this.#unshare.signalCode === null) await gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.off();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function readOr(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}
