/** Who leads a pool that this manager does not serve is asked of the store, and nobody waits long for it. */
import { expect, test } from "vitest";
import { LeaderBook } from "../../../manager/peers/book.ts";
import { StoreError, type LeaseRow } from "../../../manager/store/store.ts";
import { processClock } from "../../../schema/kit/clock.ts";
import { leaseOf } from "./rig.ts";

/** A book over a store that says nothing until the test lets it. */
function hungBook(lookMs: number) {
  const reads: string[] = [];
  const answers: ((row: LeaseRow | null) => void)[] = [];
  const store = {
    readLease: (pool: string): Promise<LeaseRow | null> => {
      reads.push(pool);
      return new Promise((resolve) => answers.push(resolve));
    },
  };
  return {
    reads,
    answers,
    book: new LeaderBook({ name: "manager-here", engines: new Map(), store, clock: processClock, lookMs }),
  };
}

test("a database that says nothing is trouble that passes, and not waited for", async () => {
  const { book } = hungBook(5);
  for (const asked of [book.of("elsewhere"), book.fresh("elsewhere")]) {
    const error = await asked.catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({
      kind: "transient",
      outcomeKnown: true,
      message: "The database does not say within 5 ms who leads the pool elsewhere.",
    });
  }
});

test("one look at a time: a database that hangs is not asked again for each who wants to know", async () => {
  const { book, reads, answers } = hungBook(5);
  for (let round = 0; round < 5; round += 1) await expect(book.of("elsewhere")).rejects.toThrow("does not say within");
  expect(reads).toEqual(["elsewhere"]);
  answers[0]?.({ ...leaseOf("manager-other", "http://127.0.0.1:1"), pool: "elsewhere" });
  expect(await book.of("elsewhere")).toMatchObject({ kind: "elsewhere", holder: { name: "manager-other" } });
});

test("who waits already is told what a look brings, and a look that failed is not kept", async () => {
  const { book, reads, answers } = hungBook(60_000);
  const asked = [book.of("elsewhere"), book.of("elsewhere")];
  answers[0]?.(null);
  expect(await Promise.all(asked)).toEqual([
    { kind: "nobody", exists: false },
    { kind: "nobody", exists: false },
  ]);
  expect(reads).toHaveLength(1);
});
