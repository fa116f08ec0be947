/** A broker as a process of its own, on a private folder and a port that it keeps when it is killed and started again. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { until } from "./until.ts";

const root = resolve(import.meta.dirname, "../..");

export interface BrokerServer extends AsyncDisposable {
  /** Where MQTT listens on 127.0.0.1. */
  readonly port: number;
  /** `manager`, or one of the workers that it was started with. */
  password(username: string): string;
  /** Ends it, by default without a chance to say anything. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again where it was. */
  start(): Promise<void>;
  /** Removes everything that it stored; while it does not run. */
  wipe(): void;
  /** Its process id, for signals such as SIGSTOP; 0 while it does not run. */
  readonly pid: number;
  /** What it has logged. */
  readonly output: string;
}

export interface ServerTls {
  /** PEM files. With `ca` the server lets in only clients that show a certificate of that authority. */
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

export interface BrokerUsers {
  readonly workers?: readonly string[];
  readonly tls?: ServerTls;
}

interface Plan {
  readonly program: string;
  readonly args: readonly string[];
  readonly folder: string;
  readonly port: number;
  readonly passwords: ReadonlyMap<string, string>;
  readonly env?: Readonly<Record<string, string>>;
}

/** A test process that is killed leaves no server behind, where util-linux is there to see to it. */
const dyingWithUs = whyMissing("setpriv") === undefined ? ["setpriv", "--pdeathsig", "KILL"] : [];

/** Why a program cannot be run here; undefined when it can. */
export function whyMissing(program: string): string | undefined {
  return spawnSync("sh", ["-c", `command -v ${program}`], { stdio: "ignore" }).status === 0
    ? undefined
    : `${program} is not installed here`;
}

/** A private folder, and in it a folder for what the server keeps. */
export function serverFolder(program: string): string {
  const folder = mkdtempSync(join(tmpdir(), `muster-${program}-`));
  mkdirSync(join(folder, "data"));
  return folder;
}

/** A file of `deploy/`, with what an operator would fill in filled in. Throws when a text that is to be replaced is not there. */
export function deployed(file: string, fill: readonly (readonly [string, string])[]): string {
  let text = readFileSync(join(root, "deploy", file), "utf8");
  for (const [from, to] of fill) {
    if (!text.includes(from)) throw new Error(`deploy/${file} does not say ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

/** Starts it and waits until it listens; rejects with what it said when it ends instead. */
export async function brokerServer(plan: Plan): Promise<BrokerServer> {
  const { folder, port, passwords } = plan;
  const logFile = join(folder, "output");
  let running: { readonly child: ChildProcess; readonly ended: Promise<unknown> } | undefined;
  const output = (): string => readFileSync(logFile, "utf8");
  const kill = async (signal: NodeJS.Signals = "SIGKILL"): Promise<void> => {
    running?.child.kill(signal);
    await running?.ended;
    running = undefined;
  };
  const start = async (): Promise<void> => {
    const log = openSync(logFile, "a");
    const [program = "", ...args] = [...dyingWithUs, plan.program, ...plan.args];
    const child = spawn(program, args, {
      cwd: folder,
      stdio: ["ignore", log, log],
      env: { PATH: process.env["PATH"] ?? "", HOME: folder, ...plan.env },
    });
    closeSync(log);
    let alive = true;
    const ended = new Promise<void>((done) => {
      child.once("error", () => done());
      child.once("exit", () => done());
    }).then(() => (alive = false));
    running = { child, ended };
    await until(`${plan.program} to listen`, async () => (await listens(port)) || !alive);
    if (!alive) throw new Error(`${plan.program} ended at its start: ${output().slice(-2_000)}`);
  };
  const dispose = async (): Promise<void> => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await start();
  } catch (error) {
    await dispose();
    throw error;
  }
  const password = (username: string): string => {
    const known = passwords.get(username);
    if (known === undefined) throw new Error(`the broker was started without a user ${username}`);
    return known;
  };
  return {
    port,
    password,
    kill,
    start,
    wipe() {
      rmSync(join(folder, "data"), { recursive: true });
      mkdirSync(join(folder, "data"));
    },
    get pid() {
      return running?.child.pid ?? 0;
    },
    get output() {
      return output();
    },
    [Symbol.asyncDispose]: dispose,
  };
}

/** Whether somebody takes connections on this port of 127.0.0.1. */
function listens(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("error", () => done(false));
    socket.once("connect", () => {
      socket.destroy();
      done(true);
    });
  });
}
