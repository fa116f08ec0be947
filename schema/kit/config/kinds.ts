/** The kinds of values that a configuration key takes: how text (or a YAML scalar) becomes one, and what is allowed, for people. */
import { isAbsolute } from "node:path";
import * as z from "zod";
import { id } from "../../ids.ts";
import { labels } from "../../task.ts";
import { failpointAllowed } from "../failpoint.ts";

export interface Kind<T> {
  /** After "takes …" in an error, and in the table of the docs. */
  readonly allowed: string;
  /** Takes text from the environment and flags, and whatever YAML made of the file. */
  readonly schema: z.ZodType<T>;
  /** A flag of this kind may stand alone and then means true. */
  readonly isSwitch?: true;
}

const numberText = z
  .string()
  .trim()
  .regex(/^-?[0-9]+(\.[0-9]+)?$/)
  .transform(Number);
const number = z.union([z.number(), numberText]);

export function integer(min: number, max: number): Kind<number> {
  return { allowed: `a whole number from ${min} to ${max}`, schema: number.pipe(z.int().min(min).max(max)) };
}

export function decimal(min: number, max: number): Kind<number> {
  return { allowed: `a number from ${min} to ${max}`, schema: number.pipe(z.number().min(min).max(max)) };
}

export const port: Kind<number> = {
  allowed: "a port from 0 to 65535 (0: any free one)",
  schema: number.pipe(z.int().min(0).max(65_535)),
};

export const text: Kind<string> = { allowed: "text", schema: z.string().min(1) };

export const idText: Kind<string> = { allowed: "1 to 36 characters of A-Z a-z 0-9 _ -", schema: id };

/** Absolute, or relative to the folder that Muster is started in. */
export const path: Kind<string> = { allowed: "a path", schema: z.string().min(1) };

export const yesOrNo: Kind<boolean> = {
  allowed: "yes or no (also true, false, 1, 0)",
  schema: z.union([
    z.boolean(),
    z.enum(["yes", "true", "1"]).transform(() => true),
    z.enum(["no", "false", "0"]).transform(() => false),
  ]),
  isSwitch: true,
};

export function choice<const T extends string>(...words: readonly [T, ...T[]]): Kind<T> {
  return { allowed: words.join(", "), schema: z.enum(words) };
}

/** One of our own, or a module of a third party by its absolute path. */
export function choiceOrModule(...words: readonly string[]): Kind<string> {
  return {
    allowed: `${words.join(", ")}, or the absolute path of a module`,
    schema: z.string().refine((word) => words.includes(word) || isAbsolute(word)),
  };
}

const list = z.union([
  z.array(z.string()),
  z.string().transform((all) =>
    all
      .split(",")
      .map((one) => one.trim())
      .filter(Boolean),
  ),
]);

export const idList: Kind<string[]> = {
  allowed: "one or more names of 1 to 36 characters of A-Z a-z 0-9 _ -, with commas between, none twice",
  schema: list.pipe(
    z
      .array(id)
      .min(1)
      .max(100)
      .refine((names) => new Set(names).size === names.length),
  ),
};

export const moduleList: Kind<string[]> = {
  allowed: "absolute paths of modules, with commas between",
  schema: list.pipe(z.array(z.string().refine((one) => isAbsolute(one))).max(100)),
};

const labelText = z.string().transform((all, context) => {
  const pairs: Record<string, string> = {};
  for (const pair of all
    .split(",")
    .map((one) => one.trim())
    .filter(Boolean)) {
    const at = pair.indexOf("=");
    const key = pair.slice(0, at).trim();
    if (at < 1 || key in pairs)
      context.addIssue({ code: "custom", message: `"${pair}" is not key=value, or its key comes twice` });
    else pairs[key] = pair.slice(at + 1).trim();
  }
  return pairs;
});

export const labelMap: Kind<Record<string, string>> = {
  allowed: "labels as key=value,key=value (in muster.yaml a map), no key twice",
  schema: z.union([z.record(z.string(), z.union([z.string(), z.number().transform(String)])), labelText]).pipe(labels),
};

/** A URL of one of these schemes (with their colon), without user information: names and passwords have keys of their own. */
export function url(...schemes: readonly string[]): Kind<string> {
  const names = schemes.map((scheme) => `${scheme}//…`).join(" or ");
  return {
    allowed: `${names}, without user or password in it`,
    schema: z.string().refine((one) => {
      const parsed = URL.parse(one);
      return (
        parsed !== null &&
        schemes.includes(parsed.protocol) &&
        parsed.hostname !== "" &&
        parsed.username === "" &&
        parsed.password === ""
      );
    }),
  };
}

/** The same, to which paths are appended: what stands behind a path would take them in. */
export function baseUrl(...schemes: readonly string[]): Kind<string> {
  const { allowed, schema } = url(...schemes);
  return {
    allowed: allowed.replace("user or password", "user, password, query (?) or fragment (#)"),
    schema: schema.refine((one) => !/[?#]/.test(one)),
  };
}

/** A word, or else a URL. */
export function wordOrUrl(word: string, other: Kind<string>): Kind<string> {
  return { allowed: `${word}, or ${other.allowed}`, schema: z.union([z.literal(word), other.schema]) };
}

export const databaseUrl: Kind<string> = {
  allowed: "memory:, sqlite:<path> or mysql://user:password@host/database",
  schema: z
    .string()
    .refine((one) => one === "memory:" || /^sqlite:.+/.test(one) || (/^(mysql|mariadb):\/\//.test(one) && URL.canParse(one))),
};

/** Level of one topic: no separators, no wildcards. */
export const topicLevel: Kind<string> = {
  allowed: "1 to 36 characters of A-Z a-z 0-9 _ -",
  schema: id,
};

export const adminToken: Kind<string> = {
  allowed: "at least 24 printable characters without spaces",
  schema: z.string().regex(/^[\x21-\x7e]{24,256}$/),
};

/** Checked where it is known whether there may be any (schema/kit/failpoint.ts). */
export const failpoint: Kind<string> = { allowed: failpointAllowed, schema: z.string().min(1) };
