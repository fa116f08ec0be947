import { expect, test } from "vitest";
import { makeLog, withoutSecrets } from "../../../schema/kit/log.ts";

test("what stands under a word for a secret is not shown, here or one level down, and the caller's object stays", () => {
  const err = Object.assign(new Error("x"), { token: "t" });
  const fields = { token: "a", workerId: "w", headers: { authorization: "b", accept: "c" }, list: ["password"], err, none: null };
  expect(withoutSecrets(fields)).toEqual({
    token: "[redacted]",
    workerId: "w",
    headers: { authorization: "[redacted]", accept: "c" },
    list: ["password"],
    err,
    none: null,
  });
  expect(fields.token).toBe("a");
  expect(fields.headers.authorization).toBe("b");
});

test("fields without secrets are taken as they are", () => {
  const fields = { message: "reports", attemptIds: ["a"], items: 3, nested: { a: 1 } };
  expect(withoutSecrets(fields)).toBe(fields);
});

test("what a child of the log is bound to shows no secret either, nor what a child of that is", () => {
  const child = makeLog({ name: "manager", level: "info" }).child({ token: "a", req: { password: "b", path: "/" } });
  const shown = { name: "manager", token: "[redacted]", req: { password: "[redacted]", path: "/" } };
  expect(child.bindings()).toMatchObject(shown);
  expect(child.child({ authorization: "c", pool: "p" }).bindings()).toMatchObject({
    ...shown,
    authorization: "[redacted]",
    pool: "p",
  });
});
