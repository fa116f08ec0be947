/** Everything that can happen to the manager's core: requests of clients, messages of workers, the passing of time. */
import type { Hello, Heartbeat, Reports, Status } from "../../schema/messages.ts";
import type { ReleaseWhat } from "../../schema/pool.ts";
import type { Labels, Params, TaskDefinition } from "../../schema/task.ts";
import type { AttemptRecord, KeyRecord, RunRecord, StoredBody, TaskRecord, TaskVersionRecord } from "./records.ts";

/** Who asks: the token's name, and the reason they gave. Stored with everything the request causes. */
export interface Asker {
  readonly by: string;
  readonly byReason: string | null;
}

/** A definition with its large parts already stored as bodies by the shell. */
export interface DefinitionToStore {
  readonly definition: TaskDefinition;
  readonly body: StoredBody | null;
  readonly script: StoredBody | null;
}

export interface StartItem {
  readonly taskId: string;
  /** Drawn by the shell, so that a repeated request after an unknown outcome can name it. */
  readonly runId: string;
  /**
   * The client repeats a request whose outcome was unknown and sent the key that the 503 carried (`run.<runId>`): the core
   * looks whether that run exists before it makes it. False for a fresh id, which needs no look.
   */
  readonly mayExist: boolean;
  readonly params: Params;
  readonly workerId: string | null;
  /** Added to the task's labels on the run. */
  readonly labels: Labels;
  readonly idempotencyKey: string | null;
  /** SHA-256 (hex) of the item's canonical body; a key reused with another body is refused. */
  readonly bodyHash: string;
  readonly trace: string;
}

export type Request =
  | ({ readonly kind: "createTask"; readonly id: string; readonly store: DefinitionToStore } & Asker)
  /** Create or replace by name within the definition's pool. `id` is used when it is new. */
  | ({
      readonly kind: "putTaskByName";
      readonly id: string;
      readonly store: DefinitionToStore;
      readonly ifMatch: number | null;
    } & Asker)
  /** A new version. `expectedVersion` is what the shell built it from: someone else's change in between is answered 412 and, unless the client sent If-Match, tried again by the shell. */
  | ({
      readonly kind: "changeTask";
      readonly taskId: string;
      readonly store: DefinitionToStore;
      readonly expectedVersion: number | null;
    } & Asker)
  | ({ readonly kind: "deleteTask"; readonly taskId: string; readonly stop: boolean; readonly ifMatch: number | null } & Asker)
  | ({ readonly kind: "startRun"; readonly item: StartItem } & Asker)
  /** Items succeed and fail one by one; the answer has one outcome each, in order. */
  | ({ readonly kind: "startRuns"; readonly items: readonly StartItem[] } & Asker)
  | ({
      readonly kind: "rerun";
      readonly of: string;
      readonly runId: string;
      readonly idempotencyKey: string | null;
      readonly bodyHash: string;
      readonly trace: string;
    } & Asker)
  | ({ readonly kind: "stopRun"; readonly runId: string; readonly graceSeconds: number | null } & Asker)
  /** Stops every run of the task that is not terminal. */
  | ({ readonly kind: "stopTask"; readonly taskId: string; readonly graceSeconds: number | null } & Asker)
  | ({ readonly kind: "signalRun"; readonly runId: string; readonly signal: string } & Asker)
  | ({ readonly kind: "drainWorker"; readonly workerId: string; readonly on: boolean } & Asker)
  | ({ readonly kind: "labelWorker"; readonly workerId: string; readonly labels: Labels } & Asker)
  | ({ readonly kind: "deleteWorker"; readonly workerId: string; readonly stop: boolean } & Asker)
  /** A person's word: the hold of a restored database, or the fleet brake, lets go. */
  | ({ readonly kind: "releasePool"; readonly what: ReleaseWhat } & Asker);

export type Input =
  | { readonly kind: "request"; readonly ticket: number; readonly request: Request }
  | { readonly kind: "hello"; readonly workerId: string; readonly message: Hello }
  | { readonly kind: "reports"; readonly workerId: string; readonly message: Reports }
  | { readonly kind: "heartbeat"; readonly workerId: string; readonly message: Heartbeat }
  | { readonly kind: "status"; readonly workerId: string; readonly message: Status }
  /** This leader's shell has seen more of the pool's history than the database has now (rule 28). The first input of its lead. */
  | { readonly kind: "takenBack"; readonly why: string }
  /** Time has passed; sent at least every `tickMs` and whenever `nextDue` comes. */
  | { readonly kind: "tick" }
  /** The last input of every batch: place what waits on the workers that are open. */
  | { readonly kind: "place" };

/** Something the core must see before it can decide an input; the shell reads it from the store (committed state). */
export type Need =
  | { readonly need: "task"; readonly id: string }
  | { readonly need: "taskByName"; readonly pool: string; readonly name: string }
  | { readonly need: "version"; readonly taskId: string; readonly version: number }
  /** A run with its attempts. */
  | { readonly need: "run"; readonly id: string }
  | { readonly need: "key"; readonly taskId: string; readonly key: string }
  /** Ids of the task's runs that are not terminal, at most `limit`. */
  | { readonly need: "liveRunsOfTask"; readonly taskId: string; readonly limit: number }
  /** Queued runs whose order is above `after`, oldest first. */
  | { readonly need: "queuePage"; readonly after: number; readonly limit: number }
  /** The attempts named, whatever their state (a report about one that is not live). */
  | { readonly need: "attempts"; readonly ids: readonly string[] }
  /** The pool of the worker, which may be another one: an id is one worker's in the whole database. */
  | { readonly need: "poolOfWorker"; readonly id: string };

export type Loaded =
  | { readonly need: "task"; readonly id: string; readonly found: TaskRecord | null }
  | { readonly need: "taskByName"; readonly pool: string; readonly name: string; readonly found: TaskRecord | null }
  | { readonly need: "version"; readonly taskId: string; readonly version: number; readonly found: TaskVersionRecord | null }
  | {
      readonly need: "run";
      readonly id: string;
      readonly found: { readonly run: RunRecord; readonly attempts: readonly AttemptRecord[] } | null;
    }
  | { readonly need: "key"; readonly taskId: string; readonly key: string; readonly found: KeyRecord | null }
  | { readonly need: "liveRunsOfTask"; readonly taskId: string; readonly found: readonly string[] }
  | { readonly need: "queuePage"; readonly after: number; readonly found: readonly RunRecord[] }
  | { readonly need: "attempts"; readonly found: readonly AttemptRecord[] }
  | { readonly need: "poolOfWorker"; readonly id: string; readonly found: string | null };
