/** A child of `npm start`: started again when it dies by itself, with backoff and one line. */
import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { doubledDelayMs, pause } from "../../schema/kit/backoff.ts";
import { processClock } from "../../schema/kit/clock.ts";
import { startLimits } from "./limits.ts";
import type { ChildLog } from "./child-log.ts";

const root = join(import.meta.dirname, "../..");

export interface ChildPlan {
  /** `manager` or `worker`: its folder in the tree, and its name in sentences. */
  readonly name: "manager" | "worker";
  readonly env: Readonly<Record<string, string>>;
  readonly log: ChildLog;
  /** Takes each line of its standard output. */
  readonly onLine: (line: string) => void;
  /** Takes a sentence about what becomes of it. */
  readonly say: (line: string) => void;
}

/** Configuration errors (2) come again at every start, so they are not tried again. */
const configExit = 2;

export class Child {
  readonly #plan: ChildPlan;
  readonly #leaving = new AbortController();
  #process: ChildProcess | undefined;
  #ready = false;
  /** Settles when it has ended for good: told to, or unable to begin. True: as it was told. */
  readonly ended: Promise<boolean>;

  constructor(plan: ChildPlan) {
    this.#plan = plan;
    this.ended = this.#keep();
  }

  /** From now on an end is a fault to recover from; before, it is a reason not to start at all. */
  markReady(): void {
    this.#ready = true;
  }

  /** Somebody has told it to leave. */
  get isLeaving(): boolean {
    return this.#leaving.signal.aborted;
  }

  /** Passes the signal on; the child is not started again. */
  leave(signal: NodeJS.Signals): void {
    this.#leaving.abort();
    this.#process?.kill(signal);
  }

  async #keep(): Promise<boolean> {
    const { name, say } = this.#plan;
    for (let failures = 0; ; failures++) {
      const begun = processClock.now().mono;
      const how = await this.#once();
      if (this.#leaving.signal.aborted) return true;
      if (!this.#ready || how === configExit) return false;
      if (processClock.now().mono - begun >= startLimits.steadyMs) failures = 0;
      const delayMs = doubledDelayMs(failures, { firstMs: startLimits.restartFirstMs, maxMs: startLimits.restartMaxMs });
      say(`the ${name} ended (${typeof how === "number" ? `exit ${how}` : how}); it is started again in ${delayMs / 1_000} s`);
      await pause(delayMs, this.#leaving.signal);
      if (this.#leaving.signal.aborted) return true;
    }
  }

  /** One life: settles with the exit code, or the signal or error that ended it. */
  #once(): Promise<number | string> {
    const { name, env, log, onLine } = this.#plan;
    return new Promise((resolve) => {
      const child = spawn(process.execPath, ["--import", join(root, "scripts/follow-parent.ts"), join(root, name, "main.ts")], {
        cwd: process.cwd(),
        env,
        // A group of its own: a terminal's Ctrl-C reaches this process only, which decides who leaves first.
        detached: process.platform !== "win32",
        stdio: ["ignore", "pipe", "pipe", "ipc"],
      });
      this.#process = child;
      if (child.stderr) log.take(child.stderr);
      child.stdout?.setEncoding("utf8").on("data", (text: string) => {
        for (const line of text.split("\n")) if (line !== "") onLine(line);
      });
      child.once("error", (error) => resolve(error.message));
      const closed = new Promise((done) => child.once("close", done));
      child.once("exit", (code, signal) => {
        this.#process = undefined;
        // Its last words come first; somebody else may hold its output open, so they are not waited for without end.
        void Promise.race([closed, pause(startLimits.lastWordsMs, new AbortController().signal)]).then(() =>
          resolve(code ?? signal ?? "unknown"),
        );
      });
    });
  }
}
