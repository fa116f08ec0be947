/**
 * Failpoints: named steps of a start's life at which a test may stop this process, or end it, to the instruction. In a release
 * `reached` is empty and its calls are removed; in the source each costs one comparison until one is armed (decision 017).
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";

/** Set by scripts/build.ts; not there in the source. */
declare const MUSTER_IS_RELEASE: boolean | undefined;

/** A step: when it is reached, and what the data that is at hand then must contain (as JSON) so that it is this step. */
interface FailStep {
  readonly sentence: string;
  readonly contains: readonly string[];
}

/** The steps of one start's life, in order. docs/testing.md has the same table, beside those of the catalogue of faults. */
export const failSteps = {
  s01: { sentence: "the request is parsed", contains: [] },
  s02: { sentence: "the run is committed, its HTTP answer has not gone out", contains: ['"outcome":{"kind":"run"'] },
  s03: { sentence: "the core has chosen a worker, nothing of it is committed", contains: ['"op":"insertAttempt"'] },
  s04: { sentence: "the attempt is committed, its start is not published", contains: ['"kind":"start"'] },
  s05: { sentence: "the start is on the wire, no PUBACK was read", contains: ['"kind":"start"'] },
  s06: { sentence: "the worker has the start, its journal has not", contains: ['"kind":"start"'] },
  s07: { sentence: "the start is journalled, no shim was told", contains: [] },
  s08: { sentence: "a shim was told, the agent has not seen `started`", contains: [] },
  s09: { sentence: "it runs, and its output is about to be published", contains: [] },
  s10: { sentence: "the shim has written `exit`, the agent has done nothing about it", contains: [] },
  s11: { sentence: "the end is journalled, its report is not published", contains: ['"kind":"end"'] },
  s12: { sentence: "the manager has the report, nothing of it is committed", contains: ['"kind":"end"'] },
  s13: { sentence: "the end is committed, its ack is not published", contains: ['"kind":"ack"'] },
  s14: { sentence: "the worker has the ack, its journal has the report still", contains: ['"write":"acked"'] },
} as const satisfies Record<string, FailStep>;

export type FailStepName = keyof typeof failSteps;

/** What the key of the configuration takes. */
export const failpointAllowed =
  "<step>, <step>:kill, <step>:stop or one of these with :<nth time> behind it, with a step from s01 to s14; or the absolute path of a folder";

/**
 * What a process does at a step. `hold`: it stands still until the file that it leaves is removed; `stop`: until SIGCONT;
 * `kill`: it is gone, as by kill -9.
 */
export interface FailOrder {
  readonly do: "hold" | "stop" | "kill";
  /** At the how-manyth time the step is reached by what is asked for. */
  readonly hit: number;
  /** Texts that must all be in the data at hand, beside those of the step itself: such as a run's id. */
  readonly contains: readonly string[];
}

/** Gives the order for a step, and takes it when it was obeyed, so that nobody obeys it twice. */
interface Source {
  order(step: FailStepName): FailOrder | undefined;
  /** False: somebody else took it. `hold` waits until the returned question says no. */
  take(step: FailStepName): false | (() => boolean);
}

let source: Source | undefined;
const hits = new Map<FailStepName, number>();

/** The step is reached; `what` is the data at hand. */
export function reached(step: FailStepName, what: unknown): void {
  if (source !== undefined && typeof MUSTER_IS_RELEASE === "undefined") look(source, step, what);
}

/** The same once this turn's own work is done: what was given to a socket has been written to it then. */
export function reachedOnceWritten(step: FailStepName, what: unknown): void {
  if (source !== undefined && typeof MUSTER_IS_RELEASE === "undefined") {
    const from = source;
    // MQTT.js corks the socket and uncorks it with a tick of its own, which is before ours.
    process.nextTick(() => process.nextTick(() => look(from, step, what)));
  }
}

/**
 * Arms what `MUSTER_FAILPOINT` says: `<step>`, which is `<step>:kill:1`, or `<step>:stop:<n>` and the like; or the absolute path of
 * a folder in which a test arms and disarms steps while the process runs, by files of JSON (`FailOrder`) named after the step.
 * Null: nothing.
 */
export function armFailpoints(value: string | null): void {
  if (typeof MUSTER_IS_RELEASE === "undefined" && value !== null)
    source = isAbsolute(value) ? folderSource(value) : fixedSource(value);
}

/** Why failpoints cannot be armed by this value here, as sentences for the start that is refused; none when they can, or when it is null. */
export function failpointProblems(
  name: string,
  value: string | null,
  mode: { readonly production: boolean; readonly nodeEnv: string | undefined },
): string[] {
  if (value === null) return [];
  let why = "this is a release, which has no failpoints";
  // As a branch and not as an early return, so that the bundler leaves the table of steps out of a release.
  if (typeof MUSTER_IS_RELEASE === "undefined") {
    if (isFailpoint(value) && !mode.production && mode.nodeEnv !== "production") return [];
    if (!isFailpoint(value)) return [`${name} is ${JSON.stringify(value)}; it takes ${failpointAllowed}`];
    why = mode.production ? "MUSTER_PRODUCTION is on" : "NODE_ENV is production";
  }
  return [`${name} makes Muster stand still or die for its own tests, and ${why}; unset it`];
}

function isFailpoint(value: string): boolean {
  return isAbsolute(value) || fixedOrder(value) !== undefined;
}

/** The step and the order in `s07:stop:2`; undefined when it is none. */
function fixedOrder(value: string): { readonly step: FailStepName; readonly order: FailOrder } | undefined {
  const match = /^(s[0-9]{2})(?::(kill|stop))?(?::([1-9][0-9]{0,8}))?$/.exec(value);
  const [, step = "", what, hit] = match ?? [];
  if (!Object.hasOwn(failSteps, step)) return undefined;
  return { step: step as FailStepName, order: { do: what === "stop" ? "stop" : "kill", hit: Number(hit ?? 1), contains: [] } };
}

function look(from: Source, step: FailStepName, what: unknown): void {
  const order = from.order(step);
  if (!order) return;
  const text = what instanceof Uint8Array ? Buffer.from(what).toString("utf8") : (JSON.stringify(what) ?? "");
  if (![...failSteps[step].contains, ...order.contains].every((one) => text.includes(one))) return;
  const hit = (hits.get(step) ?? 0) + 1;
  hits.set(step, hit);
  if (hit < order.hit) return;
  const holds = from.take(step);
  if (holds === false) return;
  hits.delete(step);
  if (order.do !== "hold") process.kill(process.pid, order.do === "kill" ? "SIGKILL" : "SIGSTOP");
  // The whole thread stands still: no timer fires and no socket is read, as if the process had come to nothing here.
  const cell = new Int32Array(new SharedArrayBuffer(4));
  while (holds()) Atomics.wait(cell, 0, 0, 2);
}

function fixedSource(value: string): Source {
  const fixed = fixedOrder(value);
  let taken = false;
  return {
    order: (step) => (fixed?.step === step && !taken ? fixed.order : undefined),
    take: () => {
      taken = true;
      return () => false;
    },
  };
}

function folderSource(folder: string): Source {
  return {
    order(step) {
      try {
        return JSON.parse(readFileSync(join(folder, step), "utf8")) as FailOrder;
      } catch {
        return undefined; // Not armed.
      }
    },
    take(step) {
      const held = join(folder, `${step}.${process.pid}`);
      try {
        writeFileSync(`${held}.new`, "");
        renameSync(join(folder, step), `${held}.order`);
        renameSync(`${held}.new`, held);
      } catch {
        return false; // Disarmed just now, or another process came first.
      }
      return () => existsSync(held);
    },
  };
}
