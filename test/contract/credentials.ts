import { describe, expect, onTestFinished, test } from "vitest";
import type { CredentialBook } from "../../broker/credential-book.ts";
import type { Credentials } from "../../broker/credentials-check.ts";
import {
  mosquittoPasswdOf,
  namesIn,
  withClient,
  withoutClient,
  withOnlyToken,
  withoutTokens,
  withSomeManager,
  withToken,
} from "../../broker/credentials-content.ts";
import { hashToken } from "../../broker/secrets.ts";
import { ensureAdminToken } from "../../manager/admin.ts";
import { until } from "../kit/until.ts";

/** One manager's view of credentials; `close` ends what it has open. */
export interface OpenedForTest {
  readonly book: CredentialBook;
  readonly verify: Credentials;
  close(): Promise<void>;
}

const edge = { username: "edge-a", pool: "default", role: "worker" } as const;

/** `open` gives two views of the same, empty credentials: two managers, or a manager and a command beside it. */
export function credentialContract(name: string, open: () => Promise<readonly [OpenedForTest, OpenedForTest]>): void {
  const two = async (): Promise<readonly [OpenedForTest, OpenedForTest]> => {
    const both = await open();
    onTestFinished(async () => void (await Promise.all(both.map((one) => one.close()))));
    return both;
  };

  describe(name, () => {
    test("a token that is made at one is known at the other, by its text and by its hash, until it is revoked", async () => {
      const [one, other] = await two();
      const token = await one.book.change(withToken({ name: "admin" }));
      expect(one.verify.verifyToken(token)).toEqual({ name: "admin" });
      await until("the other to know it", () => other.verify.verifyToken(token));
      expect(other.verify.holderOf(hashToken(token))).toEqual({ name: "admin" });
      const next = await other.book.change(withToken({ name: "admin" }));
      expect(await other.book.change(withoutTokens("admin", next))).toBe(1);
      expect(other.verify.verifyToken(token)).toBeUndefined();
      await until(
        "the one to know the next and not the old",
        () => one.verify.verifyToken(next) && !one.verify.verifyToken(token),
      );
      expect(one.verify.holderOf(hashToken(token))).toBeUndefined();
      expect(await other.book.change(withoutTokens("nobody"))).toBe(0);
    });

    test("a token that takes the place of the others holds from the instant at which they hold no more", async () => {
      const [one, other] = await two();
      const old = [await one.book.change(withToken({ name: "admin" })), await one.book.change(withToken({ name: "admin" }))];
      const elses = await one.book.change(withToken({ name: "page" }));
      await until("the other to know them", () => [...old, elses].every((token) => other.verify.verifyToken(token)));
      const { token, revoked } = await one.book.change(withOnlyToken({ name: "admin" }));
      expect(revoked).toBe(2);
      const known = (): readonly boolean[] => [token, ...old, elses].map((each) => other.verify.verifyToken(each) !== undefined);
      await until("the other to know either all or nothing of it", () => {
        const [next, ...rest] = known();
        expect(rest).toEqual(next ? [false, false, true] : [true, true, true]);
        return next;
      });
    });

    test("clients are known with pool and role, get another password, and go", async () => {
      const [one, other] = await two();
      const first = await one.book.change(withClient(edge));
      await until("the other to know it", () => other.verify.verifyClient("edge-a", first));
      await expect(other.book.change(withClient(edge))).rejects.toThrow("edge-a exists already");
      const second = await other.book.change(withClient({ ...edge, pool: "b", replace: true }));
      expect(other.verify.verifyClient("edge-a", second)).toEqual({ pool: "b", role: "worker" });
      expect(other.verify.verifyClient("edge-a", first)).toBeUndefined();
      await until("the one to know that too", () => one.verify.verifyClient("edge-a", second));
      expect(one.verify.verifyClient("edge-a", first)).toBeUndefined();
      expect(await one.book.change(withSomeManager())).toMatch(/^[\w-]{43}$/);
      expect(await one.book.change(withSomeManager())).toBeUndefined();
      expect(
        namesIn(await other.book.read())
          .clients.map(({ username }) => username)
          .toSorted(),
      ).toEqual(["edge-a", "manager"]);
      expect(mosquittoPasswdOf(await other.book.read())).toMatch(/^(edge-a|manager):\$7\$.*\n(edge-a|manager):\$7\$.*\n$/);
      expect(await other.book.change(withoutClient("edge-a"))).toBe(true);
      expect(await one.book.change(withoutClient("edge-a"))).toBe(false);
      expect(one.verify.verifyClient("edge-a", second)).toBeUndefined();
    });

    test("names that differ in case alone are two, and a change that throws leaves everything as it was", async () => {
      const [one, other] = await two();
      const [lower, upper] = [
        await one.book.change(withClient(edge)),
        await one.book.change(withClient({ ...edge, username: "Edge-A" })),
      ];
      expect(one.verify.verifyClient("edge-a", lower)).toBeDefined();
      expect(one.verify.verifyClient("Edge-A", upper)).toBeDefined();
      const before = await other.book.read();
      const fails = other.book.change((content) => {
        withToken({ name: "admin" })(content);
        throw new Error("on purpose");
      });
      await expect(fails).rejects.toThrow("on purpose");
      expect(await one.book.read()).toEqual(before);
    });

    test("of two that start at once one makes the first token; a preset one works at both", async () => {
      const [one, other] = await two();
      const made = await Promise.all([ensureAdminToken(one.book, null), ensureAdminToken(other.book, null)]);
      expect(made.filter((token) => token !== undefined)).toHaveLength(1);
      expect((await one.book.read()).tokens).toHaveLength(1);
      const preset = "a-preset-secret-of-enough-length";
      expect(await Promise.all([ensureAdminToken(one.book, preset), ensureAdminToken(other.book, preset)])).toEqual([
        undefined,
        undefined,
      ]);
      expect(one.verify.verifyToken(preset)).toEqual({ name: "admin" });
      expect((await other.book.read()).tokens).toHaveLength(2);
    });

    test("many changes at once lose nothing of one another", async () => {
      const [one, other] = await two();
      const names = Array.from({ length: 10 }, (_, n) => `t${n}`);
      await Promise.all(names.map((token, n) => (n % 2 === 0 ? one : other).book.change(withToken({ name: token }))));
      expect(namesIn(await one.book.read()).tokens.toSorted()).toEqual(names);
    });
  });
}
