import type { ControlState } from "../control/state.ts";
import type { KeptLease } from "./keep-lease.ts";

/** What a manager holds while it leads a pool. Thrown away whole when the term is lost (rule 18). */
export interface Lead extends KeptLease {
  /** Loaded anew when a batch cannot be (rule 19). */
  state: ControlState;
  /** Rises when the state is loaded anew: what was sent before is an earlier leader's. */
  term: number;
  /** What the first batch must say of a database that was taken back; undefined once it was put into one, or when nothing is lacking. */
  takenBack?: string | undefined;
  /** Number of the last batch that held. */
  batch: number;
}
