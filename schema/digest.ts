import { createHash } from "node:crypto";

/** SHA-256 of text or bytes, as 64 hex digits. */
export function sha256Hex(data: string | Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** The heartbeat's digest of live attempts: how many, and the first 16 hex digits of SHA-256 of their sorted ids joined by `\n`. */
export function liveDigest(ids: readonly string[]): { readonly count: number; readonly hash: string } {
  return { count: ids.length, hash: sha256Hex(ids.toSorted().join("\n")).slice(0, 16) };
}
