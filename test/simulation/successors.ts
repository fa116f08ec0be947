import type { Change } from "../../manager/control/changes.ts";
import { parseEpoch } from "../../schema/ids.ts";
import type { Witness } from "./witness.ts";

const goneKinds: ReadonlySet<string> = new Set(["workerLost", "workerRemoved"]);
const mayBeFollowed: ReadonlySet<string> = new Set(["lost", "removed", "neverSeen"]);

/** Rule 1, looked at from outside: another journal speaks for a worker only when the worker was lost or is new. */
export class Successors {
  readonly #witness: Witness;
  /** Workers that this batch says are lost or removed: their rows' last states may be of what came after, in the same batch. */
  #goneNow: ReadonlySet<string | null> = new Set();

  constructor(ends: { readonly witness: Witness }) {
    this.#witness = ends.witness;
  }

  /** Before the changes of a batch, one by one. */
  batch(changes: readonly Change[]): void {
    const gone = changes.flatMap((change) => (change.op === "insertEvent" && goneKinds.has(change.row.kind) ? [change.row] : []));
    this.#goneNow = new Set(gone.map(({ workerId }) => workerId));
  }

  /** A worker's row gets an epoch. */
  joins(id: string, was: { readonly state: string; readonly epoch: string | null }, epoch: string | null | undefined): void {
    if (!epoch || was.epoch === null || parseEpoch(epoch).journal === parseEpoch(was.epoch).journal) return;
    if (mayBeFollowed.has(was.state) || this.#goneNow.has(id)) return;
    this.#witness.violated(`${id} is ${was.state}, and another journal speaks for it (rule 1)`);
  }
}
