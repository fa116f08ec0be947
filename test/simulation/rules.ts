import type { AsOf } from "../../schema/messages.ts";
import type { Command, Step } from "../../manager/control/outputs.ts";
import type { EventRecord } from "../../manager/control/records.ts";
import type { HeldBatch } from "../../manager/engine/watch.ts";
import type { Input } from "../../manager/control/inputs.ts";
import type { Batch } from "../../manager/store/store.ts";
import type { Counters, Happening } from "./counters.ts";
import type { Asker } from "./database.ts";
import type { Life } from "./life.ts";
import { Losses } from "./losses.ts";
import { SeenBrake } from "./seen-brake.ts";
import type { Plan } from "./plan.ts";
import { itemText } from "./story.ts";
import type { Trace } from "./trace.ts";
import type { Witness } from "./witness.ts";

/** What was seen of one leading process from outside. */
interface Seen {
  /** Messages that it was given so far, and as the how-manyth each instant of each worker came. */
  posts: number;
  readonly monoAt: Map<string, number>;
  /** Messages when its newest commit began. */
  postsAtCommit: number;
  /** A commit of it held since it last let anything out. */
  confirmed: boolean;
  /** Mono at which it took the lease, in its own clock. */
  tookLeaseMono: number;
  /** Worker → the newest epoch and instant that it has dealt with, and when. */
  readonly heard: Map<string, { readonly epoch: string; readonly mono: number; readonly atMono: number }>;
  readonly brake: SeenBrake;
}

type WorkerMessage = Extract<Input, { readonly workerId: string }>;

const noteHappenings: Readonly<Record<string, Happening>> = {
  repeatedReport: "a report came again",
  reportGap: "reports came with a gap and were sent again",
  helloRefused: "a hello was refused",
};
const refusalHappenings: readonly (readonly [string, Happening])[] = [
  ["duplicate worker id", "a duplicate worker id was refused"],
  ["its journal is a restored copy", "a restored copy was refused"],
  ["an agent that was started later", "a restored copy was refused"],
];

/** With these a message was no sign of life of the worker that is known. */
const deafNotes: ReadonlySet<string> = new Set(["staleHello", "helloRefused", "unknownEpoch"]);

export interface RulesEnds {
  readonly plan: Plan;
  readonly trace: Trace;
  readonly counters: Counters;
  readonly witness: Witness;
  /** The committed state of a worker's row. */
  readonly workerRow: (workerId: string) => { readonly state: string; readonly epoch: string | null } | undefined;
  readonly workerStates: () => Iterable<string>;
}

/** What RULES.md demands of whoever leads, looked at from outside: what it was told, what it has committed, what it says. */
export class Rules {
  readonly #ends: RulesEnds;
  readonly #seen = new Map<Asker, Seen>();
  readonly #losses: Losses;

  constructor(ends: RulesEnds) {
    this.#ends = ends;
    this.#losses = new Losses(ends);
  }

  #of(life: Asker): Seen {
    let seen = this.#seen.get(life);
    if (!seen) {
      seen = {
        posts: 0,
        monoAt: new Map(),
        postsAtCommit: 0,
        confirmed: false,
        tookLeaseMono: 0,
        heard: new Map(),
        brake: new SeenBrake(this.#ends),
      };
      this.#seen.set(life, seen);
    }
    return seen;
  }

  /** It has a worker's message in hand. */
  posted(life: Life, workerId: string, input: WorkerMessage): void {
    const seen = this.#of(life);
    seen.posts += 1;
    if (input.kind === "status") return;
    const { epoch, mono } = input.message;
    const key = `${workerId} ${epoch} ${mono}`;
    if (!seen.monoAt.has(key)) seen.monoAt.set(key, seen.posts);
  }

  tookLease(asker: Asker): void {
    const seen = this.#of(asker);
    const life = asker as Life;
    seen.tookLeaseMono = life.clock.now().mono;
    seen.heard.clear();
    seen.brake.tookLease(seen.tookLeaseMono);
  }

  committing(life: Life, batch: Batch): Batch {
    const seen = this.#of(life);
    seen.postsAtCommit = seen.posts;
    return batch;
  }

  committed(asker: Asker): void {
    this.#of(asker).confirmed = true;
  }

  /** Rule 5: nothing echoes an instant that came after the lease check began. */
  publishes(life: Life, workerId: string, term: number, { asOf, items }: Omit<Command, "workerId">): void {
    const { trace, witness } = this.#ends;
    const seen = this.#of(life);
    trace.hash(`${life.name} > ${workerId} ${term} ${asOf.mono} ${items.length} ${items[0]?.kind}`);
    trace.tell(() => `${life.name} > ${workerId}  ${asOf.mono}: ${items.map(itemText).join(", ")}`);
    if (asOf.mono === 0) return;
    const cameAs = seen.monoAt.get(keyOf(workerId, asOf));
    if (cameAs === undefined) witness.violated(`${life.name} echoes ${asOf.mono} to ${workerId}, which it never heard`);
    else if (cameAs > seen.postsAtCommit)
      witness.violated(`${life.name} echoes ${asOf.mono} to ${workerId}, which came after its lease check began (rule 5)`);
  }

  /** A batch of it holds, and is about to be let out. */
  held(life: Life, batch: HeldBatch): void {
    const seen = this.#of(life);
    const speaks = batch.steps.some((step) => step.commands.length > 0 || step.answers.length > 0);
    if (speaks && !seen.confirmed)
      this.#ends.witness.violated(`${life.name} lets out what no commit of its term has confirmed (rule 15, promise 1)`);
    seen.confirmed = false;
    // Stepped some time between the two: what was read for a step may have taken long.
    const { begunMs } = batch.times;
    for (const [index, step] of batch.steps.entries()) {
      const input = batch.taken[index]?.input;
      const passedOver = step.notes.some(({ what }) => deafNotes.has(what));
      if (input && "workerId" in input && input.kind !== "status" && !passedOver) this.#hears(seen, input, begunMs);
      this.#countNotes(step);
      for (const change of step.changes) if (change.op === "insertEvent") this.#event(life, seen, change.row, batch.times);
    }
    if (batch.taken.some(({ input }) => input.kind === "tick")) seen.brake.look();
    seen.brake.lookForOverdue(life, seen, batch.times.inputsMs);
  }

  #hears(seen: Seen, input: Exclude<WorkerMessage, { kind: "status" }>, atMono: number): void {
    const { epoch, mono } = input.message;
    const before = seen.heard.get(input.workerId);
    if (before?.epoch === epoch && before.mono >= mono) return;
    if (this.#ends.workerRow(input.workerId)?.epoch === epoch) seen.heard.set(input.workerId, { epoch, mono, atMono });
  }

  #countNotes(step: Step): void {
    const { counters } = this.#ends;
    for (const { what, detail } of step.notes) {
      const happening = noteHappenings[what];
      if (happening) counters.happened(happening);
      if (what !== "helloRefused") continue;
      for (const [start, which] of refusalHappenings) if (detail?.startsWith(start)) counters.happened(which);
    }
  }

  #event(life: Life, seen: Seen, event: EventRecord, times: HeldBatch["times"]): void {
    if (event.kind === "poolReleased") seen.brake.letGo(times.begunMs);
    if (event.workerId === null) return;
    if (event.kind === "attemptEnded" || event.kind === "runEnded")
      this.#losses.says(
        life.name,
        event,
        times.inputsMs - Math.max(seen.heard.get(event.workerId)?.atMono ?? 0, seen.tookLeaseMono),
      );
    if (event.kind === "workerOnline") seen.brake.noteBack(event.workerId);
    if (event.kind === "workerUnreachable") seen.brake.noteGone(event.workerId, times);
    if (event.kind === "workerLost") this.#checkLoss(life, seen, event.workerId, times.inputsMs);
  }

  /** Rules 10, 11, 18: a whole period of silence, of its own watching, and not while the fleet is silent at once. */
  #checkLoss(life: Life, seen: Seen, workerId: string, atMono: number): void {
    const { plan, witness } = this.#ends;
    const lostMs = 7.5 * plan.timing.heartbeatMs;
    const heard = seen.heard.get(workerId);
    if (heard && atMono - heard.atMono < lostMs)
      witness.violated(`${life.name} declares ${workerId} lost ${Math.round(atMono - heard.atMono)} ms after it heard it`);
    if (atMono - seen.tookLeaseMono < lostMs)
      witness.violated(`${life.name} declares ${workerId} lost ${Math.round(atMono - seen.tookLeaseMono)} ms after its takeover`);
    if (life.backMono !== undefined && life.backMono <= atMono && atMono - life.backMono < lostMs)
      witness.violated(
        `${life.name} declares ${workerId} lost ${Math.round(atMono - life.backMono)} ms after it was away itself`,
      );
    seen.brake.lost(life, workerId, atMono);
  }
}

function keyOf(workerId: string, asOf: AsOf): string {
  return `${workerId} ${asOf.epoch} ${asOf.mono}`;
}
