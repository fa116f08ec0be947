/** A plane that does what a test tells it, and a log store of arrays. */
import type { Alarm, WorkerLive } from "../../../manager/control/core.ts";
import type { Request as PlaneRequest } from "../../../manager/control/inputs.ts";
import type { Outcome } from "../../../manager/control/outputs.ts";
import type { EventRecord } from "../../../manager/control/records.ts";
import type { ControlPlane } from "../../../manager/plane.ts";
import type { LogPiece, LogStore, LogStream } from "../../../manager/store/logstore.ts";

/** Answers requests as the test says; keeps what it was asked. */
export interface FakePlane extends ControlPlane {
  pools: string[];
  asked: { pool: string; request: PlaneRequest; gone: AbortSignal | undefined }[];
  answer: (pool: string, request: PlaneRequest) => Outcome | Promise<Outcome>;
  live: Record<string, WorkerLive>;
  held: Awaited<ReturnType<ControlPlane["poolHeld"]>>;
  health: Awaited<ReturnType<ControlPlane["checks"]>>;
  alarmList: { kind: string; since: number; sentence: string }[];
  isReady: boolean;
  emit(...events: EventRecord[]): void;
  readonly listeners: number;
}

export function fakePlane(): FakePlane {
  const listeners = new Set<(events: readonly EventRecord[]) => void>();
  return {
    pools: ["default"],
    alone: true,
    trouble: undefined,
    async serves(pool) {
      return this.pools.includes(pool);
    },
    asked: [],
    answer: (_, request) => {
      throw new Error(`the test has no answer to ${request.kind}`);
    },
    live: {},
    held: { term: 1, hold: null, waitsFor: [], brake: null },
    health: [{ name: "store", status: "pass", sentence: "well" }],
    alarmList: [],
    isReady: true,
    async ask(pool, request, gone) {
      this.asked.push({ pool, request, gone });
      return await this.answer(pool, request);
    },
    async reasonsOf() {
      return (run) => `why ${run.id} waits`;
    },
    async workersLive() {
      return ({ id }) => this.live[id] ?? null;
    },
    async poolHeld() {
      return this.held;
    },
    async alarms() {
      return this.alarmList as Alarm[];
    },
    async checks() {
      return this.health;
    },
    async ready() {
      return { ready: this.isReady, sentence: this.isReady ? "leads" : "follows" };
    },
    onEvents(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async hearing() {},
    emit(...events) {
      for (const listener of listeners) listener(events);
    },
    get listeners() {
      return listeners.size;
    },
  };
}

/** A log store of arrays; `append` is what a worker's message does. */
export function fakeLogs(): LogStore {
  const streams = new Map<string, LogPiece[]>();
  const of = (attemptId: string, stream: LogStream): LogPiece[] => {
    const key = `${attemptId}/${stream}`;
    const pieces = streams.get(key) ?? [];
    streams.set(key, pieces);
    return pieces;
  };
  const sizeOf = (piece: LogPiece): number => (piece.kind === "bytes" ? piece.bytes.byteLength : piece.length);
  const endOf = (pieces: readonly LogPiece[]): number =>
    pieces.reduce((end, piece) => Math.max(end, piece.offset + sizeOf(piece)), 0);
  return {
    async append(attemptId, stream, piece) {
      of(attemptId, stream).push(piece);
      return endOf(of(attemptId, stream));
    },
    async read(attemptId, stream, from, limit) {
      const found: LogPiece[] = [];
      let left = limit;
      for (const piece of of(attemptId, stream)) {
        if (piece.offset + sizeOf(piece) <= from || left <= 0) continue;
        const skip = Math.max(0, from - piece.offset);
        if (piece.kind === "gap") found.push({ ...piece, offset: piece.offset + skip, length: piece.length - skip });
        else {
          const bytes = piece.bytes.subarray(skip, skip + left);
          left -= bytes.byteLength;
          found.push({ ...piece, offset: piece.offset + skip, bytes });
        }
      }
      return { pieces: found, end: endOf(of(attemptId, stream)) };
    },
    async remove() {},
  };
}
