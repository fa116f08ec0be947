import { Buffer } from "node:buffer";
import { interpreters, type Interpreter } from "../../schema/task.ts";
import type { CannotLaunch, Driver, DriverFile, Launch } from "./driver.ts";

/** Runs a script's text with an interpreter of the worker: the text becomes a file in the attempt's folder. */
const script: Driver = {
  name: "script",
  prepare: (spec, host) => {
    const { interpreter, args } = spec;
    if (!isInterpreter(interpreter)) return { why: `the task names no interpreter; use one of ${interpreters.join(", ")}` };
    const found = host.interpreter(interpreter);
    if (found === undefined) return { why: `this worker has no ${interpreter}` };
    const bytes = textOf(spec);
    if ("why" in bytes) return bytes;
    const given = Array.isArray(args) ? args.map(String) : [];
    return command[interpreter]({ found, folder: host.folder, bytes: bytes.bytes, args: given });
  },
};
export default script;

interface Given {
  /** Absolute path of the interpreter. */
  readonly found: string;
  readonly folder: string;
  readonly bytes: Uint8Array;
  readonly args: readonly string[];
}

const command: Readonly<Record<Interpreter, (given: Given) => Launch | CannotLaunch>> = {
  sh: asFile("script.sh"),
  bash: asFile("script.bash"),
  ksh: asFile("script.ksh"),
  python: asFile("script.py"),
  node: nodeScript,
  perl: asFile("script.pl"),
  pwsh: powerShell,
  powershell: powerShell,
  cmd: batch("script.cmd"),
  bat: batch("script.bat"),
};

function isInterpreter(value: unknown): value is Interpreter {
  return (interpreters as readonly unknown[]).includes(value);
}

function textOf(spec: Readonly<Record<string, unknown>>): { readonly bytes: Uint8Array } | CannotLaunch {
  if (typeof spec["script"] === "string") return { bytes: Buffer.from(spec["script"]) };
  if (typeof spec["scriptBase64"] === "string") return { bytes: Buffer.from(spec["scriptBase64"], "base64") };
  return { why: "the task has no script yet: send one with PUT /tasks/{id}/script" };
}

function asFile(name: string): (given: Given) => Launch {
  return ({ found, folder, bytes, args }) => ({
    program: found,
    args: [`${folder}/${name}`, ...args],
    files: [{ name, bytes, executable: false }],
    env: {},
  });
}

/** The empty package.json ends Node's search for one: what lies above the data folder must not decide between CommonJS and ESM. */
function nodeScript(given: Given): Launch {
  const launch = asFile("script.js")(given);
  return { ...launch, files: [...launch.files, { name: "package.json", bytes: Buffer.from("{}\n"), executable: false }] };
}

/**
 * `-File` alone has ended with 0 after `throw`, and `-Command` does not pass on a native program's exit code: the wrapper does
 * both. It is ASCII, so every PowerShell reads it alike.
 */
const powerShellWrapper = [
  "$ErrorActionPreference = 'Stop'",
  "[Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false",
  "$global:LASTEXITCODE = 0",
  "try { & (Join-Path $PSScriptRoot 'script.ps1') @args; exit $LASTEXITCODE }",
  "catch { [Console]::Error.WriteLine(($_ | Out-String)); exit 1 }",
  "",
].join("\r\n");

/** Windows PowerShell takes a file without a byte order mark for the system's old code page. */
const utf8Mark = Buffer.from([0xef, 0xbb, 0xbf]);

function powerShell({ found, folder, bytes, args }: Given): Launch {
  const marked = Buffer.from(bytes).subarray(0, 3).equals(utf8Mark) ? bytes : Buffer.concat([utf8Mark, bytes]);
  const files: DriverFile[] = [
    { name: "script.ps1", bytes: marked, executable: false },
    { name: "wrapper.ps1", bytes: Buffer.from(powerShellWrapper), executable: false },
  ];
  const flags = ["-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-File"];
  return { program: found, args: [...flags, `${folder}/wrapper.ps1`, ...args], files, env: {} };
}

/** cmd.exe has no quoting that holds for every argument, so values come to a batch script as environment variables only. */
function batch(name: string): (given: Given) => Launch | CannotLaunch {
  return ({ found, folder, bytes, args }) => {
    if (args.length > 0)
      return {
        why: "a cmd or bat script takes no args, because cmd.exe cannot quote them safely; declare params, they come as PARAM_… variables",
      };
    // goto and call miss their labels in a file with bare line feeds.
    const lines = Buffer.from(Buffer.from(bytes).toString("latin1").replaceAll(/\r?\n/g, "\r\n"), "latin1");
    return {
      program: found,
      // With /s cmd.exe takes off the first and the last quote and leaves all between them alone.
      args: ["/d", "/s", "/c", `"call "${folder}\\${name}""`],
      files: [{ name, bytes: lines, executable: false }],
      env: {},
    };
  };
}
