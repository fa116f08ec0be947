/** What managers ask each other, as JSON. Whoever reads it has seen its seal, and the version says that it is of this form. */
import * as z from "zod";
import { id } from "../../schema/ids.ts";
import { peerLimits } from "../../schema/limits/peers.ts";
import type { Problem } from "../../schema/problem.ts";
import { runStates, type RunState } from "../../schema/run.ts";
import type { Alarm, PoolLive, WorkerLive } from "../control/core.ts";
import type { Request } from "../control/inputs.ts";
import type { Outcome } from "../control/outputs.ts";

/** Of these forms. A manager of a release with others answers `notLed`, so that nothing is misread in a rolling upgrade. */
export const peerVersion = 1;

export const askPath = "/peers/ask";
export const viewPath = "/peers/view";

/** A core request for the leader of a pool under this very term. */
export interface Ask {
  readonly v: number;
  readonly pool: string;
  readonly term: number;
  readonly request: Request;
}

/** `notLed`: it was not taken, because this manager does not lead the pool under that term. */
export type AskAnswer =
  | { readonly kind: "outcome"; readonly outcome: Outcome; /** Why the runs in it wait, by id. */ readonly reasons: Reasons }
  | { readonly kind: "problem"; readonly problem: Problem }
  | { readonly kind: "notLed"; readonly why: string };

export type Reasons = Readonly<Record<string, string | null>>;

/** What is asked about one pool: of runs as their committed rows have them. */
export interface PoolQuestion {
  readonly runs: readonly { readonly id: string; readonly state: RunState }[];
  readonly workers: readonly string[];
}

export interface View {
  readonly v: number;
  readonly broker: BrokerPlace;
  readonly pools: Readonly<Record<string, PoolQuestion>>;
}

/** `inside`: this manager's broker is in its own process, and nobody else's workers are there. */
export type BrokerPlace = "inside" | "apart";

/** What only a leader's memory knows of a pool. Runs and workers that it does not have are left out. */
export interface PoolView {
  readonly term: number;
  readonly reasons: Reasons;
  readonly workers: Readonly<Record<string, WorkerLive>>;
  readonly alarms: readonly Alarm[];
  readonly held: PoolLive;
  /** The store's trouble there. */
  readonly trouble: { readonly sentence: string; readonly sinceWall: number } | null;
}

/** Pools that it does not lead are left out. */
export interface ViewAnswer {
  readonly broker: BrokerPlace;
  readonly pools: Readonly<Record<string, PoolView>>;
}

const ask = z.object({
  v: z.literal(peerVersion),
  pool: id,
  term: z.int().min(1),
  request: z.looseObject({ kind: z.string(), by: z.string() }),
});

const view = z.object({
  v: z.literal(peerVersion),
  broker: z.enum(["inside", "apart"]),
  pools: z.record(
    id,
    z.object({
      runs: z.array(z.object({ id, state: z.enum(runStates) })).max(peerLimits.viewItems),
      workers: z.array(id).max(peerLimits.viewItems),
    }),
  ),
});

/** A sealed question's body; undefined when it is of another release's form. */
export function readAsk(text: string): Ask | undefined {
  const parsed = ask.safeParse(parse(text));
  return parsed.success ? (parsed.data as unknown as Ask) : undefined;
}

export function readView(text: string): View | undefined {
  const parsed = view.safeParse(parse(text));
  return parsed.success ? parsed.data : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
