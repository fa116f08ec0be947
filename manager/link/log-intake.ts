/** Output of attempts on its way from the wire to the log store; acknowledged only when it is stored (rule 12's kin). */
import type { Log } from "../../schema/kit/log.ts";
import { inboxLimits } from "../../schema/limits/inbox.ts";
import type { DownItem, Logs } from "../../schema/messages.ts";
import type { LogPiece, LogStore } from "../store/logstore.ts";
import type { ReadStore } from "../store/store.ts";

export interface LogIntakeDeps {
  readonly logs: LogStore;
  readonly store: Pick<ReadStore, "attempt">;
  readonly log: Log;
  /** Bytes of one stream that are kept; a worker that ignores its own bound gets a gap here. */
  readonly streamBytes: number;
  /** Characters of output that may wait; `inboxLimits.outputChars` when not said. */
  readonly waitingChars?: number;
  readonly acknowledge: (pool: string, workerId: string, item: Extract<DownItem, { readonly kind: "logsAck" }>) => void;
}

/** What a message takes in memory beside its output. */
const messageChars = 1_000;

/** What one worker has sent and is not stored. */
interface Lane {
  readonly pool: string;
  readonly workerId: string;
  readonly waiting: Logs[];
  /** Streams of which a piece is being stored. */
  readonly busy: Set<string>;
}

export class LogIntake {
  readonly figures = { stored: 0, storedBytes: 0, dropped: 0, foreign: 0, failed: 0 };
  readonly #deps: LogIntakeDeps;
  readonly #lanes = new Map<string, Lane>();
  readonly #settling: (() => void)[] = [];
  #waitingChars = 0;
  /** Attempt → its worker; insertion order is the order of forgetting. */
  readonly #owners = new Map<string, string>();

  constructor(deps: LogIntakeDeps) {
    this.#deps = deps;
  }

  /** Returns at once. What belongs to one stream is stored one after the other, so that offsets grow in order. */
  take(pool: string, workerId: string, message: Logs): void {
    const key = laneOf(pool, workerId);
    const lane = this.#lanes.get(key) ?? { pool, workerId, waiting: [], busy: new Set() };
    const chars = charsOf(message);
    const full = this.#waitingChars + chars > (this.#deps.waitingChars ?? inboxLimits.outputChars);
    if (lane.waiting.length + lane.busy.size >= inboxLimits.outputs || full) {
      this.figures.dropped += 1;
      return;
    }
    this.#waitingChars += chars;
    lane.waiting.push(message);
    this.#lanes.set(key, lane);
    this.#next(lane);
  }

  /** Settles when everything taken so far is stored or has failed. */
  async settled(): Promise<void> {
    if (this.#lanes.size > 0) await new Promise<void>((resolve) => this.#settling.push(resolve));
  }

  #next(lane: Lane): void {
    while (lane.busy.size < inboxLimits.outputStreams) {
      const at = lane.waiting.findIndex((message) => !lane.busy.has(streamOf(message)));
      const [message] = at === -1 ? [] : lane.waiting.splice(at, 1);
      if (!message) break;
      lane.busy.add(streamOf(message));
      void this.#storeOne(lane, message).then(() => {
        this.#waitingChars -= charsOf(message);
        lane.busy.delete(streamOf(message));
        this.#next(lane);
      });
    }
    if (lane.busy.size > 0) return;
    this.#lanes.delete(laneOf(lane.pool, lane.workerId));
    if (this.#lanes.size === 0) for (const resolve of this.#settling.splice(0)) resolve();
  }

  /** Never rejects. */
  async #storeOne({ pool, workerId }: Lane, message: Logs): Promise<void> {
    try {
      await this.#store(pool, workerId, message);
    } catch (error) {
      this.figures.failed += 1;
      this.#deps.log.error(
        { err: error, workerId, attemptId: message.attempt },
        "output could not be stored; the worker sends it again",
      );
    }
  }

  async #store(pool: string, workerId: string, message: Logs): Promise<void> {
    if ((await this.#ownerOf(message.attempt)) !== workerId) {
      this.figures.foreign += 1;
      this.#deps.log.warn({ workerId, attemptId: message.attempt }, "output of an attempt that is not this worker's is dropped");
      return;
    }
    const piece = pieceOf(message, this.#deps.streamBytes);
    const end = await this.#deps.logs.append(message.attempt, message.stream, piece);
    this.figures.stored += 1;
    if (piece.kind === "bytes") this.figures.storedBytes += piece.bytes.length;
    this.#deps.acknowledge(pool, workerId, { kind: "logsAck", attempt: message.attempt, stream: message.stream, offset: end });
  }

  async #ownerOf(attemptId: string): Promise<string | undefined> {
    const known = this.#owners.get(attemptId);
    if (known !== undefined) return known;
    const attempt = await this.#deps.store.attempt(attemptId);
    if (!attempt) return undefined;
    if (this.#owners.size >= inboxLimits.outputOwners) {
      const [oldest] = this.#owners.keys();
      if (oldest !== undefined) this.#owners.delete(oldest);
    }
    this.#owners.set(attemptId, attempt.workerId);
    return attempt.workerId;
  }
}

/** A client of one pool may call itself what a worker of another is called: neither takes the other's room, nor its acknowledgement. */
function laneOf(pool: string, workerId: string): string {
  return `${pool} ${workerId}`;
}

function charsOf(message: Logs): number {
  return messageChars + message.bytes.length;
}

function streamOf({ attempt, stream }: Logs): string {
  return `${attempt} ${stream}`;
}

function pieceOf(message: Logs, streamBytes: number): LogPiece {
  if (message.gap) return { kind: "gap", offset: message.offset, length: message.gap.bytes, why: message.gap.why };
  const bytes = Buffer.from(message.bytes, "base64");
  // The worker's own bound comes first and is exact; this one only keeps a worker that lies from filling the manager's disk.
  if (message.offset > streamBytes * 2)
    return { kind: "gap", offset: message.offset, length: Math.max(1, bytes.length), why: "beyond the bound of one stream" };
  return { kind: "bytes", offset: message.offset, bytes };
}
