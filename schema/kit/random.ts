import { randomBytes, randomInt } from "node:crypto";
import type { Dice } from "../given.ts";
import { processClock } from "./clock.ts";

/** Crockford's base 32: sorts as ASCII does, which base64url's alphabet does not. */
const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** The instant as eight characters that rise every 32 ms, for a thousand years. */
function instantText(wallMs: number): string {
  let left = Math.floor(wallMs / 32);
  let text = "";
  for (let i = 0; i < 8; i += 1) {
    text = digits.charAt(left % 32) + text;
    left = Math.floor(left / 32);
  }
  return text;
}

/**
 * Chance from the operating system. Ids begin with their instant, so that rows made together lie together in every index:
 * wholly random ones make each insert touch a page of its own. 96 random bits follow.
 */
export const systemDice: Dice = {
  id: () => instantText(processClock.now().wall) + randomBytes(12).toString("base64url"),
  below: (n) => randomInt(n),
};

/** Twelve characters of `[A-Za-z0-9_-]`, the length of a journal id and of a nonce. */
export function shortId(): string {
  return randomBytes(9).toString("base64url");
}
