import { randomBytes, randomFillSync, randomInt } from "node:crypto";
import type { Dice } from "../given.ts";
import { processClock } from "./clock.ts";

/** Crockford's base 32: sorts as ASCII does, which base64url's alphabet does not. */
const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

let lastInstant = -1;
let lastText = "";

/** The instant as eight characters that rise every 32 ms, for a thousand years. */
function instantText(wallMs: number): string {
  const instant = Math.floor(wallMs / 32);
  if (instant === lastInstant) return lastText;
  let left = instant;
  let text = "";
  for (let i = 0; i < 8; i += 1) {
    text = digits.charAt(left % 32) + text;
    left = Math.floor(left / 32);
  }
  lastInstant = instant;
  lastText = text;
  return text;
}

const idBytes = 12;
/** Chance is dear by the call and cheap by the byte: this is drawn at once, and each byte is used once. */
const drawn = Buffer.alloc(idBytes * 512);
let used = drawn.length;

function idChance(): string {
  if (used === drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  used += idBytes;
  return drawn.toString("base64url", used - idBytes, used);
}

/**
 * Chance from the operating system. Ids begin with their instant, so that rows made together lie together in every index:
 * wholly random ones make each insert touch a page of its own. 96 random bits follow.
 */
export const systemDice: Dice = {
  id: () => instantText(processClock.now().wall) + idChance(),
  below: (n) => randomInt(n),
};

/** Twelve characters of `[A-Za-z0-9_-]`, the length of a journal id and of a nonce. */
export function shortId(): string {
  return randomBytes(9).toString("base64url");
}
