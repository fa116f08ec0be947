/** A process host in a folder of its own, whose news can be waited for. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bootClock } from "../../../schema/kit/clock.ts";
import { silentLog } from "../../../schema/kit/log.ts";
import type { LaunchOrder, ProcessHost, ProcessListener } from "../../../worker/process/host.ts";
import { openPosixHost, type ProcessHostOptions } from "../../../worker/process/posix.ts";
import { until } from "../../kit/until.ts";

type Event<K extends keyof ProcessListener> = Parameters<ProcessListener[K]>[0];
export type Started = Event<"started">;
export type Ended = Event<"ended">;
export type NotStarted = Event<"notStarted">;
export type Progress = Event<"progress">;

export interface Rig extends AsyncDisposable {
  readonly folder: string;
  readonly host: ProcessHost;
  /** Everything that was told, in order. */
  readonly told: readonly (readonly [keyof ProcessListener, Started | Ended | NotStarted | Progress])[];
  /** Launches `program` with `args` and whatever is given besides; the attempt's id is given back. */
  launch(program: string, args?: readonly string[], more?: Partial<LaunchOrder>): string;
  started(attempt: string): Promise<Started>;
  ended(attempt: string): Promise<Ended>;
  notStarted(attempt: string): Promise<NotStarted>;
  /** The attempt's output, byte for byte. */
  output(attempt: string, stream?: "stdout" | "stderr"): Buffer;
}

export const limits = { logStreamBytes: 1_000_000, resultBytes: 1_000_000 };
export const noDeadlines = { timeoutMono: null, fenceMono: null, graceMs: 1_000 };
export const clock = bootClock();

let count = 0;

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "muster-process-"));
}

export function order(
  attempt: string,
  program: string,
  args: readonly string[] = [],
  more: Partial<LaunchOrder> = {},
): LaunchOrder {
  return {
    attempt,
    run: "run-1",
    launch: { program, args, files: [], env: {} },
    env: {},
    stdin: null,
    workingDirectory: null,
    user: null,
    deadlines: noDeadlines,
    limits,
    ...more,
  };
}

/** `folder`: one that an earlier host left, and that stays when this one goes. */
export async function openRig(options: Partial<ProcessHostOptions> = {}): Promise<Rig> {
  const folder = options.folder ?? temporaryFolder();
  const told: (readonly [keyof ProcessListener, Started | Ended | NotStarted | Progress])[] = [];
  const listener: ProcessListener = {
    started: (event) => void told.push(["started", event]),
    notStarted: (event) => void told.push(["notStarted", event]),
    ended: (event) => void told.push(["ended", event]),
    progress: (event) => void told.push(["progress", event]),
  };
  const host = await openPosixHost({ clock, log: silentLog(), ...options, folder, listener });
  const wait = <E>(kind: keyof ProcessListener, attempt: string): Promise<E> =>
    until(
      `${kind} of ${attempt}; told: ${JSON.stringify(told.slice(-5))}`,
      () => told.find(([k, e]) => k === kind && e.attempt === attempt)?.[1],
    ) as Promise<E>;
  const launched: string[] = [];
  const endAll = async (): Promise<void> => {
    const going = launched.filter(
      (attempt) => !told.some(([kind, event]) => kind !== "started" && kind !== "progress" && event.attempt === attempt),
    );
    for (const attempt of going) host.kill(attempt);
    for (const attempt of going)
      await until(`the end of ${attempt}`, () =>
        told.some(([kind, event]) => /ended|notStarted/.test(kind) && event.attempt === attempt),
      );
  };
  return {
    folder,
    host,
    told,
    launch: (program, args = [], more = {}) => {
      const attempt = more.attempt ?? `a${process.pid}-${++count}`;
      launched.push(attempt);
      host.launch(order(attempt, program, args, more));
      return attempt;
    },
    started: (attempt) => wait("started", attempt),
    ended: (attempt) => wait("ended", attempt),
    notStarted: (attempt) => wait("notStarted", attempt),
    output: (attempt, stream = "stdout") => readFileSync(join(host.folderOf(attempt), stream)),
    [Symbol.asyncDispose]: async () => {
      // What a failing test leaves running; a folder that is not ours is another host's business.
      if (options.folder === undefined) await endAll();
      await host[Symbol.asyncDispose]();
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
}

/** Whether something that is no zombie has this pid. */
export function runs(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}
