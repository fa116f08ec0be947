import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from "node:fs";
import { isDeeperThan } from "../../schema/json-depth.ts";
import { requestLimits } from "../../schema/limits.ts";
import type { ResultFound } from "../agent/types.ts";

export type ResultRead = ResultFound | { readonly kind: "toUpload"; readonly file: string; readonly size: number };

/**
 * The JSON that the process left in MUSTER_RESULT: inline up to `inlineResultBytes`, to be uploaded up to `maxBytes`, `bad`
 * with the reason when it is not one JSON value. Read without following a link: the file is the task's to replace.
 */
export function readResult(file: string, maxBytes: number): ResultRead {
  // The usual case, and an error costs more than a look.
  if (lstatSync(file, { throwIfNoEntry: false }) === undefined) return { kind: "none" };
  let fd: number;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return { kind: "none" };
    if (code === "ELOOP")
      return { kind: "bad", why: "the result file is a symbolic link; write the JSON itself to MUSTER_RESULT" };
    return { kind: "bad", why: `the result file cannot be read: ${code ?? String(error)}` };
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return { kind: "bad", why: "the result is not a regular file" };
    if (stat.size === 0) return { kind: "none" };
    if (stat.size > maxBytes) return { kind: "bad", why: `the result has ${stat.size} bytes, and at most ${maxBytes} are taken` };
    const bytes = Buffer.allocUnsafe(stat.size);
    const read = readSync(fd, bytes, 0, stat.size, 0);
    return judge(bytes.subarray(0, read), file);
  } catch (error) {
    return { kind: "bad", why: `the result file cannot be read: ${(error as Error).message}` };
  } finally {
    closeSync(fd);
  }
}

function judge(bytes: Buffer, file: string): ResultRead {
  let json: string;
  try {
    json = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (isDeeperThan(requestLimits.jsonDepth, JSON.parse(json)))
      return { kind: "bad", why: `the result is nested deeper than ${requestLimits.jsonDepth} levels` };
  } catch (error) {
    return { kind: "bad", why: `the result is not one JSON value in UTF-8: ${(error as Error).message}` };
  }
  if (bytes.length > requestLimits.inlineResultBytes) return { kind: "toUpload", file, size: bytes.length };
  return { kind: "inline", json };
}
