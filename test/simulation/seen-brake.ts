import type { Counters } from "./counters.ts";
import type { Life } from "./life.ts";
import type { Plan } from "./plan.ts";
import type { Witness } from "./witness.ts";

export interface SeenBrakeEnds {
  readonly plan: Plan;
  readonly counters: Counters;
  readonly witness: Witness;
  /** The committed state of a worker's row. */
  readonly workerRow: (workerId: string) => { readonly state: string } | undefined;
  readonly workerStates: () => Iterable<string>;
}

/** When a step was made is only known to lie between the two: what was read for a step may have taken long. Mono ms. */
export interface StepSpan {
  readonly begunMs: number;
  readonly inputsMs: number;
}

/** Who becomes unreachable within so many beats vanishes at once (the product's own number). */
const withinBeats = 2;

/** One worker in a second, eight of them and some that are their doubles; a tick; and a moment. */
const overdueMs = 20_000;

/** The fleet brake of one leading process, reckoned from what it has committed (rule 11). Its instants are that process's mono. */
export class SeenBrake {
  readonly #ends: SeenBrakeEnds;
  /** When workers became unreachable, lately, and until when nobody may be declared lost. */
  readonly #gone = new Map<string, StepSpan>();
  #pulledMono: number | undefined;
  #untilMono: number | undefined;
  /** When it was certainly pulled, at the latest. */
  #certainMono = 0;
  /** When the process stepped last, and since when without a pause. */
  #steppedMono = 0;
  #presentMono = 0;
  /** It lets go: since when, and how many workers it has let go. */
  #releasing: { readonly sinceMono: number; lost: number } | undefined;

  constructor(ends: SeenBrakeEnds) {
    this.#ends = ends;
  }

  /** Whoever finds a silent fleet holds at once: after it took the lease, and before its first batch. */
  tookLease(atMono: number): void {
    this.#gone.clear();
    this.#releasing = undefined;
    this.#pulledMono = this.#isFleet(this.#silent()) ? atMono : undefined;
    this.#untilMono = this.#pulledMono === undefined ? undefined : atMono + this.#ends.plan.timing.brakeHoldMs;
    this.#certainMono = Number.POSITIVE_INFINITY;
  }

  /** A person's word, about those that are gone so far. */
  letGo(atMono: number): void {
    if (this.#untilMono !== undefined) this.#releasing = { sinceMono: atMono, lost: 0 };
    this.#gone.clear();
    this.#pulledMono = undefined;
    this.#untilMono = undefined;
    this.#ends.counters.happened("an operator let the fleet brake go");
  }

  noteGone(workerId: string, span: StepSpan): void {
    const { heartbeatMs, brakeHoldMs } = this.#ends.plan.timing;
    this.#gone.set(workerId, span);
    const sinceMs = withinBeats * heartbeatMs;
    const unreachable = [...this.#gone].filter(([id]) => this.#ends.workerRow(id)?.state === "unreachable");
    const isFleet = (together: (at: StepSpan) => boolean): boolean =>
      this.#isFleet(unreachable.filter(([id, at]) => id === workerId || together(at)).length);
    // The brake may have been pulled here; and it must have been, if they are together wherever in their spans they were noted.
    if (!isFleet((at) => at.inputsMs >= span.begunMs - sinceMs)) return;
    const isCertain = isFleet((at) => at.begunMs >= span.inputsMs - sinceMs);
    if (this.#untilMono !== undefined) return this.#noteMoreGone(this.#untilMono, span, isCertain);
    this.#pulledMono ??= span.begunMs;
    if (!isCertain) return;
    this.#certainMono = span.inputsMs;
    this.#untilMono = this.#pulledMono + brakeHoldMs;
    this.#ends.counters.happened("the fleet brake was pulled");
  }

  /** It is heard again: whoever vanishes next did not vanish together with it. */
  noteBack(workerId: string): void {
    this.#gone.delete(workerId);
  }

  /** Who vanishes together once it has let go is held anew. That is certain only when its time is over at the latest. */
  #noteMoreGone(untilMono: number, span: StepSpan, isFleet: boolean): void {
    const { brakeHoldMs } = this.#ends.plan.timing;
    if (span.inputsMs < untilMono) return;
    if (isFleet && span.begunMs >= this.#certainMono + brakeHoldMs) {
      this.#untilMono = span.begunMs + brakeHoldMs;
      this.#releasing = undefined;
      this.#ends.counters.happened("the fleet brake was pulled");
    }
    this.#certainMono = span.inputsMs;
  }

  /** With each tick that holds: whether most are back. */
  look(): void {
    if (this.#pulledMono === undefined || this.#isFleet(this.#silent())) return;
    this.#pulledMono = undefined;
    if (this.#untilMono !== undefined) this.#ends.counters.happened("the fleet brake let go");
    this.#untilMono = undefined;
    this.#releasing = undefined;
  }

  /** It holds for so long, and then lets go. */
  lookForOverdue(
    life: Life,
    seen: { readonly heard: ReadonlyMap<string, { readonly atMono: number }>; readonly tookLeaseMono: number },
    atMono: number,
  ): void {
    const { plan, workerRow, witness } = this.#ends;
    const { heartbeatMs, brakeHoldMs } = plan.timing;
    if (atMono - this.#steppedMono > 2 * heartbeatMs) this.#presentMono = atMono;
    this.#steppedMono = atMono;
    if (this.#untilMono === undefined) return;
    this.#certainMono = Math.min(this.#certainMono, atMono);
    const leastMono = Math.max(
      this.#certainMono + brakeHoldMs,
      this.#presentMono + 7.5 * heartbeatMs,
      seen.tookLeaseMono + 7.5 * heartbeatMs,
    );
    for (const [id, heard] of seen.heard) {
      const dueMono = Math.max(leastMono, heard.atMono + 7.5 * heartbeatMs, (life.backMono ?? 0) + 7.5 * heartbeatMs);
      if (atMono > dueMono + overdueMs && workerRow(id)?.state === "unreachable")
        witness.violated(
          `${life.name} holds worker ${id} ${Math.round(atMono - dueMono)} ms beyond the time of its brake (rule 11)`,
        );
    }
  }

  /** It declares a worker lost: not while it holds, and then at a stated rate, here one worker in a second. */
  lost(life: Life, workerId: string, atMono: number): void {
    const { counters, witness } = this.#ends;
    if (this.#untilMono !== undefined && atMono < this.#untilMono)
      witness.violated(`${life.name} declares ${workerId} lost although the fleet fell silent at once (rule 11)`);
    if (this.#untilMono !== undefined) {
      this.#releasing ??= { sinceMono: this.#untilMono, lost: 0 };
      counters.happened("workers were lost after the fleet brake had held its time");
    }
    if (!this.#releasing) return;
    this.#releasing.lost += 1;
    const { sinceMono, lost } = this.#releasing;
    if (lost > (atMono - sinceMono) / 1_000 + 1)
      witness.violated(
        `${life.name} declares ${lost} workers lost within ${Math.round(atMono - sinceMono)} ms of its brake (rule 11)`,
      );
  }

  #silent(): number {
    let silent = 0;
    for (const state of this.#ends.workerStates()) if (state === "unreachable") silent += 1;
    return silent;
  }

  #isFleet(gone: number): boolean {
    let reachable = 0;
    for (const state of this.#ends.workerStates())
      if (state === "online" || state === "draining" || state === "drained") reachable += 1;
    return gone > Math.max(3, 0.3 * (reachable + gone));
  }
}
