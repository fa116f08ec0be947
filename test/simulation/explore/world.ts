/** What one state of the exploration holds. Parts that an action does not touch are shared between the states before and after it. */
import type { ControlState } from "../../../manager/control/state.ts";
import type { Input, Loaded } from "../../../manager/control/inputs.ts";
import type { Lead } from "../../../manager/engine/lead.ts";
import type { MemoryHeld } from "../../../manager/store/memory.ts";
import type { Now } from "../../../schema/given.ts";
import type { Commands } from "../../../schema/messages.ts";
import type { AgentState } from "../../../worker/agent/agent.ts";
import type { JournalMeta, LedgerEntry, StoredReport } from "../../../worker/agent/records.ts";
import type { AgentInput, Deadlines } from "../../../worker/agent/types.ts";
import { Canon, clockApart } from "./canon.ts";

/** How often each thing may still happen. Every one of them is spent, so the exploration ends. */
export interface Budget {
  /** Heartbeat intervals that pass. With each one every agent and leader that does not stand still ticks, and heartbeats arrive. */
  readonly quanta: number;
  /** Agents and leaders that stand still while an interval passes. */
  readonly stills: number;
  /** Heartbeats that stay under way. */
  readonly lates: number;
  /** Managers that take the lease, also from a leader that lives and has nothing wrong with it. */
  readonly takeovers: number;
  /** Turns that stand still between their decision and their commit. */
  readonly pauses: number;
  /** Commits that are answered with an error, done or not. */
  readonly storeErrors: number;
  /** Messages that arrive and stay on the wire to arrive again. */
  readonly repeats: number;
  /** Agents that die, at any moment or between their journal and their acts. */
  readonly deaths: number;
  readonly reboots: number;
  readonly cuts: number;
  /** Requests of the client to stop the run. */
  readonly stops: number;
  /** Processes that come to their own end. */
  readonly exits: number;
}

/** A turn between its decision and its commit: made anew, with the same readings, when it goes on. */
export interface HeldTurn {
  readonly before: ControlState;
  readonly inputs: readonly Input[];
  readonly loads: readonly (readonly Loaded[])[];
  readonly now: Now;
  readonly firstId: number;
  readonly ids: number;
  readonly prefer: number;
  /** Answers that the store gave to earlier tries of its commit: all errors. */
  readonly errors: number;
}

export interface ManagerPart {
  readonly lead: Lead | null;
  readonly inbox: readonly Input[];
  readonly held: HeldTurn | null;
}

export interface HostProcess {
  readonly attempt: string;
  readonly run: string;
  readonly bootId: string;
  over: boolean;
  code: number | null;
  termed: boolean;
  fenced: boolean;
  deadlines: Deadlines;
}

export interface WorkerPart {
  agent: AgentState | null;
  meta: JournalMeta;
  readonly entries: Map<string, LedgerEntry>;
  readonly reports: Map<number, StoredReport>;
  epoch: string;
  connection: number;
  connected: boolean;
  boots: number;
  readonly processes: Map<string, HostProcess>;
  /** Attempts of which a stop has come. */
  readonly stops: Set<string>;
  /** What the host has to tell the agent. */
  readonly told: AgentInput[];
}

/** A message under way. It may arrive at any time from now on, or never. */
export type Flight =
  | { readonly to: "worker"; readonly worker: number; readonly message: Commands; readonly text: string }
  | { readonly to: "managers"; readonly worker: number; readonly input: Input; readonly text: string };

export interface World {
  readonly nowMs: number;
  readonly store: MemoryHeld;
  readonly managers: readonly ManagerPart[];
  readonly workers: readonly WorkerPart[];
  readonly wire: readonly Flight[];
  readonly left: Budget;
  readonly ids: number;
  /** A stop of the run was asked for, and was answered. */
  readonly stop: { readonly asked: boolean; readonly answered: boolean };
}

export const workerIds = ["w1", "w2"] as const;
export const pool = "default";
export const runId = "run";

/** Each host's clock is far from the others', and none begins anew. */
export function monoOf(host: number, nowMs: number): number {
  return (host + 1) * clockApart + nowMs;
}

export function managerNow(manager: number, nowMs: number): Now {
  return { mono: monoOf(manager, nowMs), wall: 1_800_000_000_000 + nowMs };
}

export function workerNow(worker: number, nowMs: number): Now {
  return { mono: monoOf(5 + worker, nowMs), wall: 1_700_000_000_000 + nowMs };
}

export function copyStore({ tables, leases }: MemoryHeld): MemoryHeld {
  const copy = Object.fromEntries(Object.entries(tables).map(([name, rows]) => [name, copyRows(rows as Map<string, unknown>)]));
  return { tables: copy as unknown as MemoryHeld["tables"], leases: new Map(leases) };
}

function copyRows(rows: Map<unknown, unknown> | Set<unknown>): Map<unknown, unknown> | Set<unknown> {
  if (rows instanceof Set) return new Set(rows);
  const copy = new Map<unknown, unknown>();
  for (const [key, row] of rows) copy.set(key, row instanceof Map ? new Map(row) : row);
  return copy;
}

const hashes = new WeakMap<object, { readonly nowMs: number; readonly hash: string }>();

function partHash(nowMs: number, part: object, view: () => unknown): string {
  const known = hashes.get(part);
  if (known?.nowMs === nowMs) return known.hash;
  const made = Canon.hashOf(nowMs, view());
  hashes.set(part, { nowMs, hash: made });
  return made;
}

/** What tells this state from others. */
export function keyOf(world: World): string {
  const { nowMs, store, managers, workers, wire, left, stop } = world;
  const lease = store.leases.get(pool);
  const parts = [
    partHash(nowMs, store, () => ({ ...store.tables, events: null, tasks: null, versions: null, names: null, setAside: null })),
    ...managers.map((part) => `${partHash(nowMs, part, () => managerView(part))} ${standing(part, lease)}`),
    ...workers.map((part) => partHash(nowMs, part, () => workerView(part))),
    ...wire.map((flight) => `${partHash(nowMs, flight, () => flight)}`).toSorted(),
    JSON.stringify([left, stop]),
  ];
  return Canon.hashOf(0, parts);
}

/** Whether its next commit would hold, without the numbers that only count. */
function standing({ lead }: ManagerPart, lease: { readonly term: number; readonly batch: number } | undefined): string {
  return lead ? `${(lease?.term ?? 0) - lead.term} ${(lease?.batch ?? 0) - lead.batch}` : "-";
}

function managerView({ lead, inbox, held }: ManagerPart): unknown {
  const turn = held && { inputs: held.inputs, mono: held.now.mono, prefer: held.prefer, errors: held.errors };
  return [lead && { term: lead.term, state: lead.state }, inbox, turn];
}

function workerView(part: WorkerPart): unknown {
  const { agent, meta, entries, reports, processes, stops, told, epoch, connection, connected, boots } = part;
  const journal = agent ? [...entries.values()].map((entry) => `${entry.attempt} ${entry.state}`) : [entries, reports];
  return [agent, meta, journal, processes, stops, told, epoch, connection, connected, boots];
}
