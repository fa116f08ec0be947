/** The interpreters of this host: where they are, and their versions. */
import { execFile } from "node:child_process";
import { homedir, platform } from "node:os";
import type { Interpreter } from "../schema/task.ts";
import { onPath } from "./process/who.ts";

export interface FoundInterpreter {
  readonly name: Interpreter;
  /** Absolute. */
  readonly file: string;
  readonly version: string;
}

interface Candidate {
  readonly name: Interpreter;
  /** File names to look for, the best first. */
  readonly files: readonly string[];
  readonly ask: readonly string[];
  readonly version: RegExp;
}

/** How long one interpreter may take to say its version. */
const versionTimeoutMs = 5_000;
/** What stands where a shell does not tell its version, as dash does not. */
const unknownVersion = "0";

const powerShellAsk = ["-NoLogo", "-NoProfile", "-NonInteractive", "-Command", "$PSVersionTable.PSVersion.ToString()"];
const everywhere: readonly Candidate[] = [
  { name: "sh", files: ["sh"], ask: ["-c", 'echo "version ${BASH_VERSION:-${KSH_VERSION:-0}}"'], version: /([0-9][^\s(]*)/ },
  { name: "bash", files: ["bash"], ask: ["--version"], version: /version ([0-9][0-9.]*)/ },
  { name: "ksh", files: ["ksh93", "ksh", "mksh"], ask: ["-c", 'echo "$KSH_VERSION"'], version: /([0-9][^\s]*)/ },
  { name: "python", files: ["python3", "python"], ask: ["-V"], version: /Python ([0-9][^\s]*)/ },
  { name: "node", files: ["node"], ask: ["--version"], version: /v([0-9][^\s]*)/ },
  { name: "perl", files: ["perl"], ask: ["-e", 'printf "%vd", $^V'], version: /([0-9][0-9.]*)/ },
  { name: "pwsh", files: ["pwsh"], ask: powerShellAsk, version: /([0-9][^\s]*)/ },
];
const onWindows: readonly Candidate[] = [
  { name: "powershell", files: ["powershell"], ask: powerShellAsk, version: /([0-9][^\s]*)/ },
  { name: "cmd", files: ["cmd"], ask: ["/d", "/c", "ver"], version: /([0-9]+\.[0-9.]+)/ },
  { name: "bat", files: ["cmd"], ask: ["/d", "/c", "ver"], version: /([0-9]+\.[0-9.]+)/ },
];

/** Asks all of them at once. One that does not answer in time, or not with a version, is left out and `note` says so. */
export async function findInterpreters(path: string, note: (sentence: string) => void): Promise<FoundInterpreter[]> {
  const candidates = platform() === "win32" ? [...everywhere, ...onWindows] : everywhere;
  const found = await Promise.all(candidates.map((candidate) => find(candidate, path, note)));
  return found.filter((one) => one !== undefined);
}

async function find(candidate: Candidate, path: string, note: (sentence: string) => void): Promise<FoundInterpreter | undefined> {
  const { name } = candidate;
  for (const file of filesOf(candidate, path)) {
    try {
      const said = await run(file, candidate.ask, path);
      const version = candidate.version.exec(said)?.[1];
      if (version !== undefined) return { name, file, version: version.slice(0, 100) };
      if (name === "sh") return { name, file, version: unknownVersion };
      note(`${name}: ${file} does not say its version, so it is not offered`);
    } catch (error) {
      note(`${name}: ${file} could not be asked for its version, so it is not offered: ${(error as Error).message}`);
    }
  }
  return undefined;
}

function filesOf({ name, files }: Candidate, path: string): string[] {
  const suffix = platform() === "win32" ? ".exe" : "";
  const found = files.map((file) => onPath(file + suffix, path)).filter((file) => file !== undefined);
  // The agent runs on a Node, so the host has one.
  if (name === "node") found.push(process.execPath);
  return found;
}

/** Version commands get no more of the agent's environment than tasks do. */
function run(file: string, args: readonly string[], path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { PATH: path, HOME: homedir(), LANG: "C" };
    execFile(
      file,
      args,
      { env, timeout: versionTimeoutMs, killSignal: "SIGKILL", maxBuffer: 65_536, windowsHide: true },
      (error, stdout, stderr) => {
        if (error) reject(error.killed ? new Error(`no answer within ${versionTimeoutMs} ms`, { cause: error }) : error);
        else resolve(`${stdout}${stderr}`);
      },
    ).stdin?.end();
  });
}
