/** A part of a measured system: a process of its own, which ends when the benchmark ends, however that is. */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { treeCpuMs } from "./cpu.ts";

export const root = resolve(import.meta.dirname, "../..");

export interface PartOptions {
  /** Also the name of its log in `folder`. */
  readonly name: string;
  readonly folder: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** It answers `ask` (kit/answering.ts). */
  readonly answers?: boolean;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class Part {
  readonly name: string;
  readonly logFile: string;
  readonly exited: Promise<number | string>;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;

  constructor(options: PartOptions) {
    const { name, folder, command, args, env = {}, answers = false } = options;
    this.name = name;
    this.logFile = join(folder, `${name}.log`);
    const log = openSync(this.logFile, "a");
    // setpriv: the kernel ends it with this process.
    this.#process = spawn("setpriv", ["--pdeathsig=KILL", "--", command, ...args], {
      cwd: root,
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
      stdio: answers ? ["ignore", log, log, "ipc"] : ["ignore", log, log],
    });
    closeSync(log);
    this.exited = new Promise((done) => {
      this.#process.once("error", (error) => done(error.message));
      this.#process.once("exit", (code, signal) => done(signal ?? code ?? -1));
    });
    void this.exited.then((how) => this.#fail(new Error(`${name} ended (${how}): ${this.lastWords()}`)));
    this.#process.on("message", (message) => this.#take(message as { id: number; result?: unknown; error?: string }));
  }

  /** The pid: setpriv replaces itself by the command. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get log(): string {
    return readFileSync(this.logFile, "utf8");
  }

  lastWords(): string {
    return this.log.slice(-1_500);
  }

  cpuMs(): number {
    return treeCpuMs(this.pid);
  }

  /** Asks the process and resolves with its answer; rejects with what it says went wrong, or when it ends. */
  async ask<T>(what: string, parameters: object = {}): Promise<T> {
    this.#asked += 1;
    const id = this.#asked;
    return await new Promise<T>((done, reject) => {
      this.#waiting.set(id, { resolve: done as (value: unknown) => void, reject });
      this.#process.send({ id, what, parameters }, (error) => {
        if (error) reject(new Error(`${this.name} cannot be asked: ${error.message}: ${this.lastWords()}`));
      });
    });
  }

  #take(message: { id: number; result?: unknown; error?: string }): void {
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.error === undefined) waiting?.resolve(message.result);
    else waiting?.reject(new Error(`${this.name}: ${message.error}`));
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  /** Waits until `look` is true; rejects with the log's end when the process ends first. */
  async ready(what: string, look: () => Promise<boolean> | boolean, withinMs = 60_000): Promise<void> {
    let ended: number | string | undefined;
    void this.exited.then((how) => (ended = how));
    const deadline = performance.now() + withinMs;
    while (!(await look())) {
      if (ended !== undefined) throw new Error(`waiting for ${what}, but ${this.name} ended (${ended}): ${this.lastWords()}`);
      if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain for ${what}: ${this.lastWords()}`);
      await new Promise((done) => setTimeout(done, 5));
    }
  }

  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#process.kill(signal);
    const cut = setTimeout(() => this.#process.kill("SIGKILL"), 10_000);
    await this.exited;
    clearTimeout(cut);
  }
}

/** A TypeScript file of this project as a part that answers. */
export function nodePart(options: Omit<PartOptions, "command" | "answers" | "args"> & { readonly file: string }): Part {
  return new Part({ ...options, command: process.execPath, args: [join(root, options.file)], answers: true });
}
