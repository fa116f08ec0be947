import type { Driver } from "./driver.ts";

/** Runs a program with its arguments, never through a shell. */
const exec: Driver = {
  name: "exec",
  prepare: (spec) => {
    const { program, args } = spec;
    if (typeof program !== "string" || program === "") return { why: "the task names no program to run" };
    if (!isStrings(args)) return { why: "the task's args must be a list of strings" };
    return { program, args: args ?? [], files: [], env: {} };
  },
};
export default exec;

function isStrings(value: unknown): value is readonly string[] | undefined {
  return value === undefined || (Array.isArray(value) && value.every((item) => typeof item === "string"));
}
