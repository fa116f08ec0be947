import { describe, expect, test } from "vitest";
import { apiLimits } from "../../../schema/limits.ts";
import { openFor, type OpenForTest } from "./open.ts";

const id = (n: number): string => String(n).padStart(64, "0");
const hash = `sha256:${"a".repeat(64)}`;

export function sessionContract(open: OpenForTest): void {
  describe("a browser's session", () => {
    test("is known from its beginning to its end, also to a store that is opened later", async () => {
      const opened = await openFor(open);
      const { store } = opened;
      const now = Date.now();
      expect(await store.useSession(id(1), now)).toBeNull();
      const begun = await store.beginSession(id(1), hash, now);
      expect(begun).toMatchObject({ id: id(1), tokenHash: hash });
      expect(begun.endsAt - begun.usedAt).toBe(apiLimits.sessionMs);
      await store.beginSession(id(2), hash, now);
      expect(await store.useSession(id(1), now)).toEqual(begun);
      const again = await opened.reopen();
      expect(await again.useSession(id(1), now)).toEqual(begun);
      await again.endSession(id(1));
      await again.endSession(id(1));
      expect(await again.useSession(id(1), now)).toBeNull();
      expect(await again.useSession(id(2), now)).not.toBeNull();
    });
  });
}

/** What can be seen only where the store goes by the clock that it is given. */
export function sessionClockContract(open: OpenForTest): void {
  describe("a browser's session", () => {
    const start = 1_000_000_000_000;

    test("ends when it is idle for too long, and by its age however much it is used", async () => {
      const { store } = await openFor(open);
      await store.beginSession(id(1), hash, start);
      expect(await store.useSession(id(1), start + apiLimits.sessionIdleMs - 1)).not.toBeNull();
      let now = start + apiLimits.sessionIdleMs - 1;
      for (; now < start + apiLimits.sessionMs; now += apiLimits.sessionIdleMs - 1)
        expect(await store.useSession(id(1), now)).not.toBeNull();
      expect(await store.useSession(id(1), now)).toBeNull();
      await store.beginSession(id(2), hash, start);
      expect(await store.useSession(id(2), start + apiLimits.sessionIdleMs)).toBeNull();
    });
  });
}
