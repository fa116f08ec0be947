/**
 * The process host of Windows: Node's own spawn, and taskkill for the tree. Not run on Windows yet. Without a shim nothing
 * outlives the agent that could keep an exit code or a deadline, so it offers no fences, and `survives` says no.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { isAbsolute, join } from "node:path";
import { boundedSentence } from "../../schema/end.ts";
import { workerLimits } from "../../schema/limits.ts";
import type { Found } from "../agent/types.ts";
import { checkRoom } from "./folder.ts";
import type { LaunchOrder, ProcessHost } from "./host.ts";
import type { ProcessHostOptions } from "./posix.ts";
import { readResult } from "./result.ts";
import { programCommand, taskkillCommand, windowsEnvironment } from "./windows-commands.ts";

/** Windows has kept its system here since NT; a host that does not is not supported. */
const systemRoot = "C:\\Windows";

interface Child {
  readonly order: LaunchOrder;
  readonly process: ChildProcess;
  termSent: boolean;
}

export async function openWindowsHost(options: ProcessHostOptions): Promise<ProcessHost> {
  const { folder, listener, clock, log } = options;
  const attemptsFolder = join(folder, "attempts");
  mkdirSync(attemptsFolder, { recursive: true });
  const children = new Map<string, Child>();
  const folderOf = (attempt: string): string => join(attemptsFolder, attempt);
  const reserve = options.diskReserveBytes ?? workerLimits.diskReserveBytes;

  const begin = (order: LaunchOrder): void => {
    const not = checkRoom(attemptsFolder, reserve) ?? tryStart(order);
    if (not) listener.notStarted({ attempt: order.attempt, how: not.how, why: boundedSentence(not.why) });
  };
  const tryStart = (order: LaunchOrder): { readonly how: "failedToStart" | "refused"; readonly why: string } | undefined => {
    try {
      const child = start(order, folderOf(order.attempt));
      if ("why" in child) return { how: "failedToStart", why: child.why };
      watchChild(order, child);
      return undefined;
    } catch (error) {
      return { how: "refused", why: `the attempt's folder cannot be made: ${(error as Error).message}` };
    }
  };
  const watchChild = (order: LaunchOrder, child: ChildProcess): void => {
    const { attempt } = order;
    children.set(attempt, { order, process: child, termSent: false });
    child.once("error", (error) => {
      if (child.pid === undefined && children.delete(attempt))
        listener.notStarted({ attempt, how: "failedToStart", why: boundedSentence(error.message) });
    });
    child.once("spawn", () =>
      listener.started({ attempt, process: { pid: child.pid ?? 0, startTicks: 0, bootId: "" }, startedWall: clock.now().wall }),
    );
    child.once("exit", (code) => {
      const termBefore = children.get(attempt)?.termSent ?? false;
      children.delete(attempt);
      const result = readResult(join(folderOf(attempt), "result"), order.limits.resultBytes);
      listener.ended({
        attempt,
        exit: code === null ? { read: "unreadable", why: "Windows gave no exit code" } : { read: "code", code },
        termBefore,
        timedOut: false,
        fenced: false,
        result,
        endedWall: clock.now().wall,
      });
    });
  };
  const endTree = (attempt: string, force: boolean): void => {
    const child = children.get(attempt);
    if (child?.process.pid === undefined) return;
    child.termSent = true;
    const { file, args } = taskkillCommand(child.process.pid, force, systemRoot);
    execFile(file, args, (error) => {
      if (error) log.warn({ err: error, attemptId: attempt }, "taskkill failed");
    });
  };
  return {
    fences: false,
    launch: (order) => void setImmediate(begin, order),
    terminate: (attempt) => endTree(attempt, false),
    kill: (attempt) => endTree(attempt, true),
    signal: (attempt, signal) => log.warn({ attemptId: attempt, signal }, "Windows has no signals; nothing sent"),
    setDeadlines: () => undefined,
    recover: async (asked) => asked.map(({ attempt }) => recovered(attempt, folderOf(attempt))),
    folderOf,
    remove: (attempt) => rm(folderOf(attempt), { recursive: true, force: true }),
    [Symbol.asyncDispose]: async () => children.clear(),
  };
}

/** Node puts its children into a kill-on-close job, so what an earlier agent started has ended, with a code that nobody kept. */
function recovered(attempt: string, folder: string): Found {
  if (!existsSync(join(folder, "started"))) return { attempt, found: "neverStarted" };
  const exit = { read: "unreadable", why: "the agent of this Windows host ended while it ran" } as const;
  return {
    attempt,
    found: "exited",
    exit,
    result: { kind: "none" },
    process: null,
    startedWall: null,
    timedOut: false,
    fenced: false,
  };
}

/** Throws what the file system says; a task at fault is a sentence. */
function start(order: LaunchOrder, folder: string): ChildProcess | { readonly why: string } {
  if (order.user !== null) return { why: "a Windows worker runs tasks as its own user only; leave user out" };
  const command = programCommand(order.launch.program, order.launch.args);
  if ("why" in command) return command;
  const cwd = order.workingDirectory ?? join(folder, "work");
  mkdirSync(join(folder, "work"), { recursive: true });
  if (!isAbsolute(cwd) || statSync(cwd, { throwIfNoEntry: false })?.isDirectory() !== true)
    return { why: `the working directory ${cwd} is not an absolute path of a directory` };
  for (const { name, bytes } of order.launch.files) writeFileSync(join(folder, name), bytes, { flag: "wx" });
  writeFileSync(join(folder, "stdin"), order.stdin ?? "");
  // Before the spawn: what an agent that dies in between leaves must not read as never started.
  writeFileSync(join(folder, "started"), "", { flag: "wx" });
  const env = {
    ...windowsEnvironment(systemRoot, homedir(), tmpdir()),
    ...order.launch.env,
    ...order.env,
    MUSTER_RESULT: join(folder, "result"),
    MUSTER_PROGRESS: join(folder, "progress"),
  };
  const stdio = [
    openSync(join(folder, "stdin"), "r"),
    openSync(join(folder, "stdout"), "a"),
    openSync(join(folder, "stderr"), "a"),
  ];
  try {
    return spawn(command.file, command.args, { cwd, env, stdio, windowsHide: true, windowsVerbatimArguments: command.verbatim });
  } finally {
    for (const fd of stdio) closeSync(fd);
  }
}
