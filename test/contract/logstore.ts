import { describe, expect, onTestFinished, test } from "vitest";
import type { LogPiece, LogStore } from "../../manager/store/logstore.ts";
import { storeLimits } from "../../schema/limits/store.ts";

export interface LogStoreForTest {
  readonly logs: LogStore;
  close(): Promise<void>;
}

function bytes(offset: number, text: string): LogPiece {
  return { kind: "bytes", offset, bytes: Buffer.from(text) };
}

function gap(offset: number, length: number, why = "dropped"): LogPiece {
  return { kind: "gap", offset, length, why };
}

/** What a reading gives, with the bytes as text; neighbouring pieces of bytes are one. */
async function read(logs: LogStore, from = 0, limit = 1_000_000, attemptId = "a1"): Promise<{ pieces: unknown[]; end: number }> {
  const { pieces, end } = await logs.read(attemptId, "stdout", from, limit);
  return {
    pieces: pieces.map((piece) =>
      piece.kind === "bytes"
        ? [piece.offset, Buffer.from(piece.bytes).toString("latin1")]
        : [piece.offset, piece.length, piece.why],
    ),
    end,
  };
}

/** What every log store does. `open` gives an empty one each time. */
export function logStoreContract(name: string, open: () => Promise<LogStoreForTest>): void {
  const opened = async (): Promise<LogStore> => {
    const { logs, close } = await open();
    onTestFinished(close);
    return logs;
  };

  describe(name, () => {
    test("a stream that nobody wrote is empty", async () => {
      expect(await read(await opened())).toEqual({ pieces: [], end: 0 });
    });

    test("pieces that follow each other are kept in order, and the end is answered", async () => {
      const logs = await opened();
      expect(await logs.append("a1", "stdout", bytes(0, "abc"))).toBe(3);
      expect(await logs.append("a1", "stdout", bytes(3, "def"))).toBe(6);
      expect(await read(logs)).toEqual({ pieces: [[0, "abcdef"]], end: 6 });
    });

    test("a repeated piece doubles nothing, an overlapping one adds its rest", async () => {
      const logs = await opened();
      await logs.append("a1", "stdout", bytes(0, "abcdef"));
      expect(await logs.append("a1", "stdout", bytes(0, "abcdef"))).toBe(6);
      expect(await logs.append("a1", "stdout", bytes(2, "cd"))).toBe(6);
      expect(await logs.append("a1", "stdout", bytes(4, "efgh"))).toBe(8);
      expect(await logs.append("a1", "stdout", bytes(8, ""))).toBe(8);
      expect(await read(logs)).toEqual({ pieces: [[0, "abcdefgh"]], end: 8 });
    });

    test("a piece beyond the end is not kept, and the end is answered for the worker to go on from", async () => {
      const logs = await opened();
      await logs.append("a1", "stdout", bytes(0, "abc"));
      expect(await logs.append("a1", "stdout", bytes(4, "e"))).toBe(3);
      expect(await logs.append("a1", "stdout", gap(9, 5))).toBe(3);
      expect(await logs.append("a2", "stdout", bytes(1, "x"))).toBe(0);
      expect(await read(logs)).toEqual({ pieces: [[0, "abc"]], end: 3 });
    });

    test("gaps have their place, their length and their reason", async () => {
      const logs = await opened();
      expect(await logs.append("a1", "stdout", gap(0, 10, "first"))).toBe(10);
      expect(await logs.append("a1", "stdout", bytes(10, "abc"))).toBe(13);
      expect(await logs.append("a1", "stdout", gap(11, 7, "second"))).toBe(18);
      expect(await logs.append("a1", "stdout", gap(11, 7, "second"))).toBe(18);
      expect(await logs.append("a1", "stdout", bytes(18, "xyz"))).toBe(21);
      expect(await read(logs)).toEqual({
        pieces: [
          [0, 10, "first"],
          [10, "abc"],
          [13, 5, "second"],
          [18, "xyz"],
        ],
        end: 21,
      });
    });

    test("a gap that goes on for the same reason is one gap, for another reason it is two", async () => {
      const logs = await opened();
      await logs.append("a1", "stdout", gap(0, 5, "x"));
      await logs.append("a1", "stdout", gap(5, 5, "x"));
      await logs.append("a1", "stdout", gap(10, 5, "y"));
      expect(await read(logs)).toEqual({
        pieces: [
          [0, 10, "x"],
          [10, 5, "y"],
        ],
        end: 15,
      });
    });

    test("is read from any offset and with any limit; going on from where it stopped gives it all", async () => {
      const logs = await opened();
      await logs.append("a1", "stdout", bytes(0, "abcde"));
      await logs.append("a1", "stdout", gap(5, 4));
      await logs.append("a1", "stdout", bytes(9, "fgh"));
      await logs.append("a1", "stdout", gap(12, 2));
      const whole = "abcde....fgh..";
      for (let from = 0; from <= whole.length; from += 1) {
        for (const limit of [1, 3, 100]) {
          let text = "";
          for (let at = from; at < whole.length;) {
            const { pieces, end } = await logs.read("a1", "stdout", at, limit);
            expect(end).toBe(whole.length);
            let given = 0;
            for (const piece of pieces) {
              expect(piece.offset).toBe(at);
              const length = piece.kind === "bytes" ? piece.bytes.length : piece.length;
              text += piece.kind === "bytes" ? Buffer.from(piece.bytes).toString() : ".".repeat(length);
              given += piece.kind === "bytes" ? length : 0;
              at += length;
            }
            expect(given).toBeLessThanOrEqual(limit);
            expect(pieces.length).toBeGreaterThan(0);
          }
          expect(text).toBe(whole.slice(from));
        }
      }
      expect((await logs.read("a1", "stdout", 99, 10)).pieces).toEqual([]);
    });

    test("bytes that are no text come back exactly", async () => {
      const logs = await opened();
      const all = Uint8Array.from({ length: 256 }, (_, at) => at);
      await logs.append("a1", "stdout", { kind: "bytes", offset: 0, bytes: all });
      const { pieces } = await logs.read("a1", "stdout", 0, 1_000);
      expect(pieces).toHaveLength(1);
      expect(pieces[0]?.kind === "bytes" && Buffer.compare(pieces[0].bytes, all)).toBe(0);
    });

    test("the two streams of an attempt, and attempts whose ids differ in case alone, are apart", async () => {
      const logs = await opened();
      await logs.append("Aa", "stdout", bytes(0, "out"));
      await logs.append("Aa", "stderr", bytes(0, "err!"));
      await logs.append("aA", "stdout", bytes(0, "other"));
      expect(await read(logs, 0, 100, "Aa")).toEqual({ pieces: [[0, "out"]], end: 3 });
      expect(await read(logs, 0, 100, "aA")).toEqual({ pieces: [[0, "other"]], end: 5 });
      expect((await logs.read("Aa", "stderr", 0, 100)).end).toBe(4);
    });

    test("pieces that come at once, repeated and torn anywhere, make the same stream", async () => {
      const logs = await opened();
      const text = Array.from({ length: 500 }, (_, at) => `line ${at}\n`).join("");
      let end = 0;
      while (end < text.length) {
        const from = end;
        // Three of each at once: a store that looks and then writes without holding the stream would double them.
        const cuts = Array.from({ length: 12 }, (_, at) => from + Math.floor(at / 3) * 48);
        const ends = await Promise.all(
          cuts.map((cut, at) => logs.append("a1", "stdout", bytes(cut, text.slice(cut, cut + 60 + at)))),
        );
        end = Math.max(...ends);
        expect(end).toBeGreaterThan(from);
      }
      expect(await read(logs)).toEqual({ pieces: [[0, text]], end: text.length });
    });

    test("what is removed is gone, the rest is not, and removing nothing is harmless", async () => {
      const logs = await opened();
      await logs.append("a1", "stdout", bytes(0, "abc"));
      await logs.append("a1", "stderr", gap(0, 5));
      await logs.append("a2", "stdout", bytes(0, "stays"));
      await logs.remove("a1");
      await logs.remove("a1");
      expect(await read(logs)).toEqual({ pieces: [], end: 0 });
      expect((await logs.read("a1", "stderr", 0, 10)).end).toBe(0);
      expect((await read(logs, 0, 10, "a2")).end).toBe(5);
      expect(await logs.append("a1", "stdout", bytes(0, "new"))).toBe(3);
    });

    test("a stream of nothing but gaps stays bounded and keeps its length", async () => {
      const logs = await opened();
      let at = 0;
      for (; at < storeLimits.logGaps + 20; at += 1) await logs.append("a1", "stdout", gap(at, 1, `reason ${at}`));
      const { pieces, end } = await read(logs);
      expect(end).toBe(at);
      expect(pieces).toHaveLength(storeLimits.logGaps);
      expect(pieces.at(-1)).toEqual([storeLimits.logGaps - 1, 21, `reason ${storeLimits.logGaps - 1}`]);
      // Bytes between gaps do not let them go on: they are taken, and become part of the last one.
      for (let more = 0; more < 3; more += 1) {
        expect(await logs.append("a1", "stdout", bytes(at, "b"))).toBe(at + 1);
        expect(await logs.append("a1", "stdout", gap(at + 1, 1, `more ${more}`))).toBe(at + 2);
        at += 2;
      }
      const after = await read(logs);
      expect(after.pieces).toHaveLength(storeLimits.logGaps);
      expect(after.pieces.at(-1)).toEqual([storeLimits.logGaps - 1, 27, `reason ${storeLimits.logGaps - 1}`]);
      expect(after.end).toBe(at);
      // Hundreds of pieces, each of which is synced twice where it goes to a disk.
    }, 120_000);
  });
}
