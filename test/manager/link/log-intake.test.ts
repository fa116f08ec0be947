import { expect, test } from "vitest";
import { LogIntake } from "../../../manager/link/log-intake.ts";
import type { LogPiece } from "../../../manager/store/logstore.ts";
import { silentLog } from "../../../schema/kit/log.ts";
import { attempt } from "../../contract/store/rows.ts";

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
