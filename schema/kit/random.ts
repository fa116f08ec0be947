import { randomBytes, randomInt } from "node:crypto";
import type { Dice } from "../given.ts";

/** Chance from the operating system. */
export const systemDice: Dice = {
  id: () => randomBytes(16).toString("base64url"),
  below: (n) => randomInt(n),
};

/** Twelve characters of `[A-Za-z0-9_-]`, the length of a journal id and of a nonce. */
export function shortId(): string {
  return randomBytes(9).toString("base64url");
}
