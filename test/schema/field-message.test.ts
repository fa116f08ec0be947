import { describe, expect, test } from "vitest";
import { z } from "zod";
import { fieldMessage } from "../../schema/field-message.ts";
import { taskInput } from "../../schema/task.ts";

const messages = (schema: z.ZodType, value: unknown): string[] =>
  schema.safeParse(value, { error: fieldMessage }).error?.issues.map((issue) => issue.message) ?? [];

describe("what is wrong with a field", () => {
  test.each<[z.ZodType, unknown, string]>([
    [z.string(), undefined, "is needed: a string"],
    [z.string(), 7, "must be a string, not 7"],
    [z.number(), "600", "must be a number, not a string"],
    [z.int(), 1.5, "must be a whole number, not 1.5"],
    [z.boolean(), null, "must be true or false, not null"],
    [z.array(z.string()), "os=linux", "must be a list, not a string"],
    [z.record(z.string(), z.string()), ["a"], "must be an object, not a list"],
    [z.string().min(1), "", "must not be empty"],
    [z.string().max(3), "four", "must have at most 3 characters"],
    [z.number().min(1), 0, "must be at least 1"],
    [z.number().positive(), 0, "must be more than 0"],
    [z.number().max(9), 10, "must be at most 9"],
    [z.array(z.string()).max(1), ["a", "b"], "must have at most 1 items"],
    [z.enum(["a", "b"]), "c", 'must be one of a, b; "c" is not'],
    [z.enum(["a", "b"]), 3, "must be one of a, b, not 3"],
    [z.strictObject({ a: z.int(), b: z.int() }), { a: 1, b: 2, c: 3 }, "is not known here; known are a, b"],
  ])("case %#", (schema, value, message) => {
    expect(messages(schema, value)).toEqual([message]);
  });

  test("a long value, which may be a secret, is not shown", () => {
    expect(messages(z.enum(["a", "b"]), "s".repeat(37))).toEqual(["must be one of a, b, not a string"]);
  });

  test("a schema's own words come first, and the run part of a task has these too", () => {
    expect(messages(z.string().regex(/^a$/, "must be a"), "b")).toEqual(["must be a"]);
    expect(messages(taskInput, { name: "a", run: { driver: "exec", program: "/bin/true", args: "x" } })).toEqual([
      "must be a list, not a string",
    ]);
    expect(messages(taskInput, { name: "a", run: { driver: "script", interpreter: "ruby", script: "x" } })[0]).toMatch(
      /^must be one of sh, bash, .*; "ruby" is not$/,
    );
  });
});
