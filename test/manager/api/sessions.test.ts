import { describe, expect, test } from "vitest";
import { hashToken } from "../../../broker/secrets.ts";
import { apiLimits } from "../../../schema/limits.ts";
import { cookieOf, makeSessions, setCookie, type Sessions } from "../../../manager/api/sessions.ts";
import { makeRateLimiter } from "../../../manager/api/rate.ts";
import { openMemoryStore } from "../../../manager/store/memory.ts";
import { StoreError, type Store } from "../../../manager/store/store.ts";

/** Two managers on one store, and a clock for both. */
function twoManagers(): { one: Sessions; two: Sessions; store: Store; looks: () => number; pass: (ms: number) => void } {
  const now = { mono: 0, wall: 1_000_000_000 };
  const memory = openMemoryStore();
  let looks = 0;
  const store: Store = {
    ...memory,
    useSession: (id, at) => {
      looks += 1;
      return memory.useSession(id, at);
    },
  };
  let ids = 0;
  const dice = { id: () => `id${(ids += 1)}`, below: () => 0 };
  const made = () => makeSessions(store, { now: () => ({ ...now }) }, dice);
  return {
    one: made(),
    two: made(),
    store,
    looks: () => looks,
    pass: (ms) => {
      now.mono += ms;
      now.wall += ms;
    },
  };
}

describe("sessions of two managers", () => {
  test("one that was begun at either holds at both, also at a manager that starts later", async () => {
    const { one, two, store } = twoManagers();
    const { value, session } = await one.begin("mst_a");
    expect(session.tokenHash).toBe(hashToken("mst_a"));
    expect(await two.find(value)).toEqual(session);
    expect(await one.find(value)).toEqual(session);
    const later = makeSessions(store, { now: () => ({ mono: 0, wall: 1_000_000_000 }) }, { id: () => "x", below: () => 0 });
    expect(await later.find(value)).toEqual(session);
  });

  test("a sign-out holds here at once, and at the other one when it next looks: within the stated time", async () => {
    const { one, two, pass } = twoManagers();
    const { value } = await one.begin("mst_a");
    expect(await one.find(value)).not.toBeNull();
    expect(await two.find(value)).not.toBeNull();
    await one.end(value);
    expect(await one.find(value)).toBeNull();
    pass(apiLimits.sessionKeptMs);
    expect(await two.find(value)).toBeNull();
    await two.end(value);
  });

  test("a page that asks much costs one look a second, and a cookie that nobody gave costs none", async () => {
    const { one, looks, pass } = twoManagers();
    const { value } = await one.begin("mst_a");
    await Promise.all(Array.from({ length: 50 }, () => one.find(value)));
    expect(looks()).toBe(1);
    pass(apiLimits.sessionKeptMs);
    await one.find(value);
    expect(looks()).toBe(2);
    const [name = "", seal = ""] = value.split(".");
    for (const forged of ["", ".", "x", name, `${name}.`, `${name}x.${seal}`, `${name}.${seal}x`, `${value}.x`, `x.${seal}`])
      expect(await one.find(forged), forged).toBeNull();
    expect(looks()).toBe(2);
  });

  test("a store that cannot say is an error and not the end of the session", async () => {
    const { one, store } = twoManagers();
    const { value } = await one.begin("mst_a");
    const well = store.useSession;
    store.useSession = async () => {
      throw new StoreError("transient", true, "away");
    };
    await expect(one.find(value)).rejects.toThrow("away");
    store.useSession = well;
    expect(await one.find(value)).not.toBeNull();
  });

  test("what is remembered of looks is bounded", async () => {
    const { one, pass } = twoManagers();
    const values: string[] = [];
    for (let n = 0; n < 20; n += 1) values.push((await one.begin(`mst_${n}`)).value);
    for (const value of values) expect(await one.find(value)).not.toBeNull();
    pass(apiLimits.sessionIdleMs + 1);
    for (const value of values) expect(await one.find(value)).toBeNull();
  });
});

test("the cookie is found among others, and by its whole name only", () => {
  expect(cookieOf("a=1; muster_session=x.y; b=2", false)).toBe("x.y");
  expect(cookieOf("not_muster_session=x", false)).toBeUndefined();
  expect(cookieOf("muster_session=x", true)).toBeUndefined();
  expect(cookieOf("__Host-muster=x", true)).toBe("x");
  expect(cookieOf(null, false)).toBeUndefined();
  expect(setCookie(false, "")).toContain("Max-Age=0");
});

test("a bucket holds its burst, is refilled by its rate, and never holds more", () => {
  let mono = 0;
  const rate = makeRateLimiter({ now: () => ({ mono, wall: 0 }) }, 10, 3);
  const taken = (): number => {
    for (let count = 0; ; count += 1) {
      try {
        rate.take("a");
      } catch {
        return count;
      }
    }
  };
  expect(taken()).toBe(3);
  mono += 99;
  expect(taken()).toBe(0);
  mono += 101;
  expect(taken()).toBe(2);
  mono += 1_000_000;
  expect(taken()).toBe(3);
});
