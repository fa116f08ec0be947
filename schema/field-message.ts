/** What is wrong with one field, in words of this project instead of the library's: the allowed form, and what came instead. */
import type * as z from "zod";

/** An issue on its way into an error, with the schema that raised it. */
type Raised = Parameters<z.core.$ZodErrorMap>[0];

/** For `safeParse(value, { error: fieldMessage })`; a schema's own message comes before it. Undefined leaves the library's. */
export function fieldMessage(issue: Raised): string | undefined {
  if (issue.code === "invalid_type") {
    const noun = nounOf(issue.expected);
    return issue.input === undefined ? `is needed: ${noun}` : `must be ${noun}, not ${kindOf(issue.input)}`;
  }
  if (issue.code === "invalid_value")
    return `must be ${issue.values.length > 1 ? "one of " : ""}${issue.values.map(String).join(", ")}${shown(issue.input)}`;
  if (issue.code === "unrecognized_keys") return `is not known here${knownKeys(issue.inst)}`;
  if (issue.code === "too_small") return tooSmall(issue);
  if (issue.code === "too_big")
    return `must ${measure(issue.origin, `${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}`)}`;
  return undefined;
}

function tooSmall(issue: Extract<Raised, { code: "too_small" }>): string {
  if (issue.minimum === 1 && issue.origin === "string") return "must not be empty";
  return `must ${measure(issue.origin, `${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}`)}`;
}

function measure(origin: string, bound: string): string {
  if (origin === "string") return `have ${bound} characters`;
  if (origin === "array" || origin === "set") return `have ${bound} items`;
  return `be ${bound}`;
}

const nouns: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
  null: "null",
};

function nounOf(expected: string): string {
  return nouns[expected] ?? expected;
}

function kindOf(input: unknown): string {
  if (input === null) return "null";
  if (Array.isArray(input)) return "a list";
  if (typeof input === "number") return String(input);
  return nouns[typeof input] ?? typeof input;
}

/** A value that is a word, and short, is worth showing; anything longer may be a secret in the wrong place. */
function shown(input: unknown): string {
  if (input === undefined) return "";
  return typeof input === "string" && input.length <= 36 ? `; ${JSON.stringify(input)} is not` : `, not ${kindOf(input)}`;
}

function knownKeys(schema: unknown): string {
  const shape = (schema as { _zod?: { def?: { shape?: unknown } } } | undefined)?._zod?.def?.shape;
  return typeof shape === "object" && shape !== null ? `; known are ${Object.keys(shape).join(", ")}` : "";
}
