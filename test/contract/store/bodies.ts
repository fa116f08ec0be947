import { describe, expect, test } from "vitest";
import { sha256Hex } from "../../../schema/digest.ts";
import { requestLimits } from "../../../schema/limits.ts";
import { storeLimits } from "../../../schema/limits/store.ts";
import { openFor, type OpenForTest } from "./open.ts";

function bytesOf(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 997) bytes[at] = (at * 31) % 256;
  return bytes;
}

export function bodyContract(open: OpenForTest): void {
  describe("a body", () => {
    const part = storeLimits.bodyPartBytes;
    test.for([0, 1, part - 1, part, part + 1, requestLimits.scriptBytes])(
      "of %i bytes comes back whole, also when it is put twice",
      async (length) => {
        const { store } = await openFor(open);
        const bytes = bytesOf(length);
        const sha256 = sha256Hex(bytes);
        expect(await store.getBody(sha256)).toBeNull();
        await store.putBody(sha256, bytes);
        await store.putBody(sha256, bytes);
        const got = await store.getBody(sha256);
        expect(got?.length).toBe(length);
        expect(got && Buffer.compare(got, bytes)).toBe(0);
      },
    );

    test("put by two at once is there once", async () => {
      const { store } = await openFor(open);
      const bytes = bytesOf(part * 2);
      await Promise.all([
        store.putBody("a".repeat(64), bytes),
        store.putBody("a".repeat(64), bytes),
        store.putBody("b".repeat(64), bytes.subarray(1)),
      ]);
      expect((await store.getBody("a".repeat(64)))?.length).toBe(bytes.length);
      expect((await store.getBody("b".repeat(64)))?.length).toBe(bytes.length - 1);
    });
  });

  describe("a secret", () => {
    test("is 32 bytes, the same for its name ever after, and another for another name", async () => {
      const opened = await openFor(open);
      const [first, second, other] = await Promise.all([
        opened.store.secret("tickets"),
        opened.store.secret("tickets"),
        opened.store.secret("sessions"),
      ]);
      expect(first?.length).toBe(32);
      expect(Buffer.from(second ?? []).equals(Buffer.from(first ?? []))).toBe(true);
      expect(Buffer.from(other ?? []).equals(Buffer.from(first ?? []))).toBe(false);
      const again = await (await opened.reopen()).secret("tickets");
      expect(Buffer.from(again).equals(Buffer.from(first ?? []))).toBe(true);
    });
  });

  describe("check", () => {
    test("says in sentences that all holds", async () => {
      const { store } = await openFor(open);
      const checks = await store.check();
      expect(checks.length).toBeGreaterThan(0);
      for (const check of checks) expect(check).toMatchObject({ ok: true, sentence: expect.stringMatching(/\.$/) });
    });
  });
}
