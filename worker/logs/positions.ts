/** How far an attempt's output is shipped, kept beside it, so that a later agent goes on from there. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { LogStream, StreamName } from "./stream.ts";

const position = z.object({ acked: z.int().min(0), floor: z.int().min(0), cap: z.int().min(0) });
const positions = z.object({ stdout: position, stderr: position });
export type Positions = z.infer<typeof positions>;

const fileName = "shipped.json";

/** What an earlier agent left; undefined when there is nothing readable: then all is shipped again, and the manager passes over what it has. */
export function readPositions(folder: string): Positions | undefined {
  try {
    return positions.parse(JSON.parse(readFileSync(join(folder, fileName), "utf8")));
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw new Error(`cannot read ${join(folder, fileName)}`, { cause: error });
  }
}

/** Durable before any byte is freed on disk: a hole that a later agent took for output would be a stretch of zeros. */
export function writePositions(folder: string, streams: Readonly<Record<StreamName, LogStream>>): void {
  const of = ({ acked, floor, cap }: LogStream): Positions["stdout"] => ({ acked, floor, cap });
  const path = join(folder, fileName);
  const file = openSync(`${path}.new`, "w", 0o600);
  try {
    writeSync(file, JSON.stringify({ stdout: of(streams.stdout), stderr: of(streams.stderr) } satisfies Positions));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(`${path}.new`, path);
}

/** The file or its folder is not there. */
export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === "ENOENT";
}
