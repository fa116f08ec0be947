import { expect, test } from "vitest";
import { apiLimits } from "../../../schema/limits.ts";
import { cookieOf, makeSessions, setCookie } from "../../../manager/api/sessions.ts";
import { makeRateLimiter } from "../../../manager/api/rate.ts";

const clock = { now: () => ({ mono: 0, wall: 0 }) };

test("there are as many sessions as the bound says; the longest unused gives way", () => {
  let ids = 0;
  const sessions = makeSessions(clock, { id: () => `id${(ids += 1)}`, below: () => 0 });
  const values = Array.from({ length: apiLimits.sessions }, (_, index) => sessions.begin(`token ${index}`).value);
  expect(sessions.find(values[0] as string)?.token).toBe("token 0");
  const more = sessions.begin("one more").value;
  expect(sessions.find(values[1] as string)).toBeUndefined();
  for (const value of [values[0], values[2], values.at(-1), more]) expect(sessions.find(value as string)).toBeDefined();
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
