import { problem } from "../../schema/problem.ts";
import { storeLimits } from "../../schema/limits/store.ts";

/** Parts of a key that a list pages by: numbers and strings, in the order in which they sort. */
export type KeyPart = string | number;

/** The opaque text of a key: base64url of its JSON. */
export function cursorOf(key: readonly KeyPart[]): string {
  return Buffer.from(JSON.stringify(key)).toString("base64url");
}

/**
 * The key in a cursor, which must have parts of these types; null for no cursor. Throws the problem `malformed` for
 * anything that `cursorOf` did not make for such a list.
 */
export function keyOf<K extends readonly KeyPart[]>(
  cursor: string | null,
  types: { readonly [I in keyof K]: "string" | "number" },
): K | null {
  if (cursor === null) return null;
  const parts = cursor.length <= storeLimits.cursorChars && /^[A-Za-z0-9_-]+$/.test(cursor) ? parsed(cursor) : undefined;
  const fits = Array.isArray(parts) && parts.length === types.length && parts.every((part, at) => typeof part === types[at]);
  if (!fits) throw problem("malformed", "The cursor is not one that this list gave. Leave it out to begin at the first page.");
  return parts as unknown as K;
}

function parsed(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, "base64url").toString());
  } catch {
    // Not JSON is one of the ways to be no cursor; the caller says so.
    return undefined;
  }
}
