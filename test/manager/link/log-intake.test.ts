import { expect, test } from "vitest";
import { LogIntake, type LogIntakeDeps } from "../../../manager/link/log-intake.ts";
import type { LogPiece, LogStore } from "../../../manager/store/logstore.ts";
import { silentLog } from "../../../schema/kit/log.ts";
import { attempt } from "../../contract/store/rows.ts";

/** An intake of worker `w`'s output whose store takes as long as the test likes. */
function storingBy(append: LogStore["append"], acknowledge: LogIntakeDeps["acknowledge"] = () => undefined): LogIntake {
  return new LogIntake({
    logs: { append, read: async () => ({ pieces: [], end: 0 }), remove: async () => undefined },
    store: { attempt: async (id) => attempt({ id, workerId: "w" }) },
    log: silentLog(),
    streamBytes: 1_000,
    acknowledge,
  });
}

test("output of all workers that waits for a slow store is bounded, and what is dropped is not acknowledged", async () => {
  const open = Promise.withResolvers<void>();
  const acknowledged: string[] = [];
  const intake = new LogIntake({
    logs: {
      append: async (_attempt, _stream, piece: LogPiece) => {
        await open.promise;
        return piece.offset + 3;
      },
      read: async () => ({ pieces: [], end: 0 }),
      remove: async () => undefined,
    },
    store: { attempt: async (id) => attempt({ id, workerId: id.replace("a", "w") }) },
    log: silentLog(),
    streamBytes: 1_000,
    waitingChars: 10_000,
    acknowledge: (_pool, workerId) => acknowledged.push(workerId),
  });
  const take = (at: number): void =>
    intake.take("p", `w${at}`, {
      v: 1,
      epoch: "AAAAAAAAAAAA.1.BBBBBBBBBBBB",
      connection: 1,
      mono: 1,
      attempt: `a${at}`,
      start: 1,
      stream: "stdout",
      offset: 0,
      bytes: "YWJj",
    });
  for (let at = 0; at < 20; at += 1) take(at);
  expect(intake.figures.dropped).toBe(11);
  open.resolve();
  await intake.settled();
  expect(acknowledged).toHaveLength(9);
  take(19);
  await intake.settled();
  expect(acknowledged).toHaveLength(10);
});

test("a slow stream holds up no other of its worker, what belongs to one stream goes in order, and few are stored at once", async () => {
  const begun: string[] = [];
  const stored: string[] = [];
  const gates = new Map<string, () => void>();
  const intake = storingBy(async (attemptId, _stream, piece) => {
    const name = `${attemptId}@${piece.offset}`;
    begun.push(name);
    await new Promise<void>((resolve) => gates.set(name, resolve));
    stored.push(name);
    return piece.offset + 3;
  });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const head = { v: 1, epoch: "AAAAAAAAAAAA.1.BBBBBBBBBBBB", connection: 1, mono: 1, start: 1, stream: "stdout" } as const;
  const take = (id: string, offset: number): void => intake.take("p", "w", { ...head, attempt: id, offset, bytes: "YWJj" });
  for (const offset of [0, 3]) take("slow", offset);
  for (const id of ["b", "c", "d", "e", "f"]) take(id, 0);
  await turn();
  expect(begun).toEqual(["slow@0", "b@0", "c@0", "d@0"]);
  for (const name of ["b@0", "c@0", "d@0"]) gates.get(name)?.();
  await turn();
  expect(begun.slice(4)).toEqual(["e@0", "f@0"]);
  gates.get("slow@0")?.();
  await turn();
  expect(begun.at(-1)).toBe("slow@3");
  for (const open of gates.values()) open();
  await intake.settled();
  expect(stored).toHaveLength(7);
  // All that were taken gave their room back.
  for (let at = 0; at < 40; at += 1) take(`x${at}`, 0);
  expect(intake.figures.dropped).toBe(8);
  const settled = intake.settled();
  for (let round = 0; round < 40; round += 1) {
    for (const open of gates.values()) open();
    await turn();
  }
  await settled;
});

test("two pools have a worker of one name: what one sends neither takes the other's room nor is acknowledged in the other's pool", async () => {
  const open = Promise.withResolvers<void>();
  const acknowledged: string[] = [];
  const intake = storingBy(
    async (_attempt, _stream, piece) => {
      await open.promise;
      return piece.offset + 3;
    },
    (pool, workerId, { attempt: id }) => acknowledged.push(`${pool} ${workerId} ${id}`),
  );
  const head = { v: 1, epoch: "AAAAAAAAAAAA.1.BBBBBBBBBBBB", connection: 1, mono: 1, start: 1, stream: "stdout" } as const;
  const take = (pool: string, id: string): void => intake.take(pool, "w", { ...head, attempt: id, offset: 0, bytes: "YWJj" });
  for (let at = 0; at < 40; at += 1) take("p", `p${at}`);
  expect(intake.figures.dropped).toBe(8);
  take("q", "q0");
  expect(intake.figures.dropped).toBe(8);
  open.resolve();
  await intake.settled();
  expect(acknowledged).toHaveLength(33);
  expect(acknowledged.filter((one) => one[0] !== one.split(" ")[2]?.[0])).toEqual([]);
  expect(acknowledged).toContain("q w q0");
});

test("output of another worker's attempt, and of one that nobody knows, is neither stored nor acknowledged", async () => {
  const stored: string[] = [];
  const acknowledged: string[] = [];
  const intake = new LogIntake({
    logs: {
      append: async (id, _stream, piece: LogPiece) => {
        stored.push(id);
        return piece.offset + 3;
      },
      read: async () => ({ pieces: [], end: 0 }),
      remove: async () => undefined,
    },
    store: { attempt: async (id) => (id === "unknown" ? null : attempt({ id, workerId: "owner" })) },
    log: silentLog(),
    streamBytes: 1_000,
    acknowledge: (_pool, workerId, item) => acknowledged.push(`${workerId} ${item.attempt}`),
  });
  const take = (workerId: string, id: string): void =>
    intake.take("p", workerId, {
      v: 1,
      epoch: "AAAAAAAAAAAA.1.BBBBBBBBBBBB",
      connection: 1,
      mono: 1,
      attempt: id,
      start: 1,
      stream: "stdout",
      offset: 0,
      bytes: "YWJj",
    });
  take("stranger", "a1");
  take("owner", "unknown");
  await intake.settled();
  expect(stored).toEqual([]);
  take("owner", "a1");
  // Also once its owner is remembered.
  take("stranger", "a1");
  await intake.settled();
  expect(stored).toEqual(["a1"]);
  expect(acknowledged).toEqual(["owner a1"]);
  expect(intake.figures.foreign).toBe(3);
});
