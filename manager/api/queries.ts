/**
 * Parameters that several routes take, each with its check and its words in the document. `shown` in a schema's metadata is
 * what the document says where the check works on text.
 */
import * as z from "zod";
import { id } from "../../schema/ids.ts";
import { requestLimits } from "../../schema/limits.ts";
import { labelKey, labelValue } from "../../schema/task.ts";
import type { Page } from "../store/store.ts";
import { json, type Reply } from "./route.ts";

/** A whole number within bounds, written in digits. */
export function wholeNumber(min: number, max: number) {
  return z
    .string()
    .regex(/^[0-9]{1,16}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be a whole number from ${min} to ${max}`)
    .meta({ shown: { type: "integer", minimum: min, maximum: max } });
}

export const flag = z
  .enum(["true", "false"])
  .transform((text) => text === "true")
  .meta({ shown: { type: "boolean" } });

export const limit = wholeNumber(1, requestLimits.listMax)
  .optional()
  .describe(`how many, ${requestLimits.listDefault} when not said`);

export const cursor = z.string().min(1).max(1_000).optional().describe("`next` of the page before");

/** `label=team=search`: the first `=` ends the key. */
export const labelFilter = z
  .string()
  .max(requestLimits.labelKeyChars + requestLimits.labelValueChars + 1)
  .transform((text, ctx) => {
    const at = text.indexOf("=");
    const key = labelKey.safeParse(text.slice(0, Math.max(at, 0)));
    const value = labelValue.safeParse(text.slice(at + 1));
    if (at > 0 && key.success && value.success) return { key: key.data, value: value.data };
    ctx.addIssue({ code: "custom", message: "must be key=value" });
    return z.NEVER;
  })
  .optional()
  .describe("key=value");

/** Words separated by commas, each one of `words`. */
export function oneOrMoreOf<T extends string>(words: readonly T[]) {
  return z
    .string()
    .transform((text, ctx): readonly T[] => {
      const parts = text.split(",");
      const bad = parts.find((part) => !words.includes(part as T));
      if (bad === undefined) return [...new Set(parts)] as T[];
      ctx.addIssue({ code: "custom", message: `${JSON.stringify(bad.slice(0, 50))} is not one of ${words.join(", ")}` });
      return z.NEVER;
    })
    .meta({ shown: { type: "array", items: { type: "string", enum: words } } });
}

/** An ISO-8601 instant as wall milliseconds. */
export const instantMs = z.iso
  .datetime({ offset: true, error: "must be an ISO-8601 instant such as 2026-01-31T12:00:00Z" })
  .transform((text) => Date.parse(text));

export const sentence = z.string().max(requestLimits.sentenceChars);
export const reason = sentence.optional().describe("why, for the record");
export const poolFilter = id.optional();

/** A page as `{items, next}` with a `Link` header to the next one. */
export function pageReply<T, V>(request: Request, page: Page<T>, view: (item: T) => V): Reply {
  const headers: Record<string, string> = {};
  if (page.next !== null) {
    const url = new URL(request.url);
    url.searchParams.set("cursor", page.next);
    headers["link"] = `<${url.pathname}${url.search}>; rel="next"`;
  }
  return json(200, { items: page.items.map(view), next: page.next }, headers);
}

/** The schema of a page. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.strictObject({
    items: z.array(item),
    next: z.string().nullable().describe("cursor of the next page; null at the end"),
  });
}
