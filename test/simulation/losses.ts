import type { EventRecord } from "../../manager/control/records.ts";
import { taskKinds, type Plan } from "./plan.ts";
import type { Witness } from "./witness.ts";

/** Ticks of the watchdog that the leader allows for, and the grace of this world's tasks. */
const marginMs = 2 * 2_000 + 1_000;
/** Whys of a leader that knows nothing of the process: it may run still. */
const unprovenWhys: ReadonlySet<string> = new Set([
  "worker removed",
  "its worker came back without it",
  "its worker came back with another journal",
]);

interface Told {
  readonly end?: { readonly how?: string; readonly why?: string };
  readonly after?: { readonly how?: string; readonly why?: string };
  readonly delayMs?: number;
}

/** Who leads, under which term, and when in the world's time. */
interface By {
  readonly name: string;
  readonly term: number;
  readonly atMs: number;
}

/** Rule 8, looked at from outside: how long a leader waits before it gives a run up, or makes another attempt of it. */
export class Losses {
  readonly #plan: Plan;
  readonly #witness: Witness;
  /** Run → a loss of its attempt that nobody has proven, and who said so. */
  readonly #unproven = new Map<string, By>();

  constructor(ends: { readonly plan: Plan; readonly witness: Witness }) {
    this.#plan = ends.plan;
    this.#witness = ends.witness;
  }

  /** From the last sign of life until the fence has ended it for certain; 0 where another attempt need not wait. */
  #fenceMs(taskId: string | null): number {
    const kind = kindOf(taskId);
    if (kind?.onLost !== "retry" || kind.attemptOverlap === "allow") return 0;
    return this.#plan.timing.lostAfterSeconds * 1_000 + marginMs;
  }

  /** A leader says this after it has not heard the worker for so long. */
  says(name: string, event: Pick<EventRecord, "kind" | "taskId" | "runId" | "data">, silentMs: number): void {
    const { end } = event.data as Told;
    if (end?.how !== "lost" || !end.why?.startsWith("nobody heard of worker")) return;
    const gaveUp = event.kind === "runEnded" && kindOf(event.taskId)?.onLost === "wait";
    const leastMs = gaveUp ? this.#plan.timing.giveUpAfterSeconds * 1_000 : this.#fenceMs(event.taskId);
    if (silentMs < leastMs)
      this.#witness.violated(`${name} gives run ${event.runId} up after ${Math.round(silentMs)} ms of ${leastMs} (rule 8)`);
  }

  committed(by: By, { kind, taskId, runId, data }: EventRecord): void {
    if (runId === null) return;
    if (kind === "attemptSent") this.#sent(by, taskId, runId);
    if (kind !== "runRetrying") return;
    const { after, delayMs = 0 } = data as Told;
    if (after?.how !== "lost" || !unprovenWhys.has(after.why ?? "")) return;
    const leastMs = this.#fenceMs(taskId);
    if (delayMs < leastMs)
      this.#witness.violated(`${by.name} waits ${delayMs} ms of ${leastMs} for the fence of run ${runId} (rule 8)`);
    this.#unproven.set(runId, by);
  }

  /** Whoever takes over cannot know how much of the wait is over. */
  #sent(by: By, taskId: string | null, runId: string): void {
    const loss = this.#unproven.get(runId);
    this.#unproven.delete(runId);
    if (!loss || (loss.name === by.name && loss.term === by.term)) return;
    const waitedMs = by.atMs - loss.atMs;
    if (waitedMs < this.#fenceMs(taskId))
      this.#witness.violated(`${by.name} took over and places run ${runId} ${waitedMs} ms after it was lost unproven (rule 8)`);
  }
}

function kindOf(taskId: string | null): (typeof taskKinds)[number] | undefined {
  return taskKinds[Number(taskId?.split("-")[1] ?? -1)];
}

/** Whether the leader itself says that it does not know what became of the process. */
export function isGuess(why: string): boolean {
  return unprovenWhys.has(why) || why.startsWith("nobody heard of worker");
}
