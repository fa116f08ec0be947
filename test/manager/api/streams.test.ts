import { expect, test } from "vitest";
import { makeStreamBook } from "../../../manager/api/streams.ts";
import { makeBell } from "../../../manager/api/bell.ts";

const fail = (error: unknown): never => {
  throw error;
};

test("a client that leaves makes the source let go, wherever it was", async () => {
  const book = makeStreamBook(5);
  for (const waits of [false, true]) {
    let letGo = false;
    const bell = makeBell();
    const { body, closed } = book.open(async function* (signal) {
      try {
        yield "first";
        if (waits) await bell.heard(60_000, signal);
        yield "second";
      } finally {
        letGo = true;
      }
    }, fail);
    const reader = body.getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("first");
    const pending = waits ? reader.read() : undefined;
    await reader.cancel();
    await pending;
    expect(await closed).toBe(false);
    expect(letGo).toBe(true);
    expect(book.size).toBe(0);
  }
});

test("nothing is made before it is read", async () => {
  let made = 0;
  const { body } = makeStreamBook(1).open(async function* () {
    for (;;) yield String((made += 1));
  }, fail);
  const reader = body.getReader();
  for (let read = 1; read <= 3; read += 1) {
    await reader.read();
    expect(made).toBe(read);
  }
  await reader.cancel();
});

test("a source that fails ends its stream with the error, and says so", async () => {
  const told: unknown[] = [];
  const book = makeStreamBook(1);
  const { body, closed } = book.open(
    // eslint-disable-next-line require-yield
    async function* () {
      throw new Error("the store is gone");
    },
    (error) => told.push(error),
  );
  await expect(body.getReader().read()).rejects.toThrow("the store is gone");
  expect(await closed).toBe(false);
  expect(told).toHaveLength(1);
  expect(book.size).toBe(0);
});

test("a bell rung before anybody listens is heard, once", async () => {
  const bell = makeBell();
  const { signal } = new AbortController();
  bell.ring();
  bell.ring();
  expect(await bell.heard(60_000, signal)).toBe(true);
  expect(await bell.heard(0, signal)).toBe(false);
  const heard = bell.heard(60_000, signal);
  bell.ring();
  expect(await heard).toBe(true);
});
