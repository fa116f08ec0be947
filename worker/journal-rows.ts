/**
 * Rows of the journal carry a checksum: SQLite has none for the pages of its file, and a byte that went bad on the disk would be
 * read as an attempt that nobody started, or another exit code.
 */
import { crc32 } from "node:zlib";

const seal = /,"sum":([0-9]{1,10})\}$/;

/** The text of an object with the checksum as its last field; `key` is what the row is found by. Any other text is left alone. */
export function sealRow(key: string, json: string): string {
  if (json.length <= 2 || !json.endsWith("}")) return json;
  return `${json.slice(0, -1)},"sum":${crc32(key + json)}}`;
}

/** The text as it was sealed. Throws `BrokenSeal` when it is not; rows of earlier builds have no checksum, and are taken as they are. */
export function openRow(key: string, text: string): string {
  const sum = seal.exec(text);
  if (!sum) return text;
  const json = `${text.slice(0, sum.index)}}`;
  if (crc32(key + json) !== Number(sum[1])) throw new BrokenSeal(`the row of ${key} is not as it was written`);
  return json;
}

/** A row that changed on its disk. */
export class BrokenSeal extends Error {
  override readonly name = "BrokenSeal";
}

/** What a report's row is found by. */
export function reportKey(seq: number, attempt: string): string {
  return `${seq} ${attempt}`;
}
