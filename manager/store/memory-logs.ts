import { storeLimits } from "../../schema/limits/store.ts";
import { endOf, remainder, stretches, withGap, withinGaps, type Gap } from "./gaps.ts";
import type { LogPiece, LogStore } from "./logstore.ts";

interface Held {
  bytes: Buffer;
  gaps: readonly Gap[];
}

/** Output in memory, for `memory:` in tests: it behaves as the folder does and ends with the process. */
export function openMemoryLogs(): LogStore {
  const streams = new Map<string, Held>();
  const held = (attemptId: string, stream: string): Held =>
    streams.get(`${attemptId}/${stream}`) ?? { bytes: Buffer.alloc(0), gaps: [] };
  return {
    append: async (attemptId, stream, piece) => {
      const before = held(attemptId, stream);
      const end = endOf(before.gaps, before.bytes.length);
      const more = remainder(piece, end);
      if (!more) return end;
      const rest = withinGaps(more, before.gaps, storeLimits.logGaps);
      const after =
        rest.kind === "bytes"
          ? { bytes: Buffer.concat([before.bytes, rest.bytes]), gaps: before.gaps }
          : { bytes: before.bytes, gaps: withGap(before.gaps, rest, storeLimits.logGaps) };
      streams.set(`${attemptId}/${stream}`, after);
      return endOf(after.gaps, after.bytes.length);
    },
    read: async (attemptId, stream, from, limit) => {
      const { bytes, gaps } = held(attemptId, stream);
      const pieces = stretches(gaps, bytes.length, from, limit).map((stretch): LogPiece => {
        if (stretch.kind === "gap") return stretch;
        return { kind: "bytes", offset: stretch.offset, bytes: bytes.subarray(stretch.at, stretch.at + stretch.length) };
      });
      return { pieces, end: endOf(gaps, bytes.length) };
    },
    remove: async (attemptId) => {
      streams.delete(`${attemptId}/stdout`);
      streams.delete(`${attemptId}/stderr`);
    },
  };
}
