/**
 * How far an attempt's output is shipped, kept so that a later agent goes on from there. Not in the attempt's folder, which
 * is its process's to change, but in one of the agent's own.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import type { LogStream, StreamName } from "./stream.ts";

const position = z.object({ acked: z.int().min(0), floor: z.int().min(0), cap: z.int().min(0) });
const record = z.object({ stdout: position, stderr: position });
export type Position = z.infer<typeof position>;

export interface Positions {
  /** What an earlier agent left; undefined when there is nothing readable: then all is shipped again, and the manager passes over what it has. */
  read(attempt: string): Readonly<Record<StreamName, Position>> | undefined;
  /** Durable before any byte is freed on disk: a hole that a later agent took for output would be a stretch of zeros. */
  write(attempt: string, streams: Readonly<Record<StreamName, LogStream>>): void;
  drop(attempt: string): void;
}

/** The records in `folder`, which is made when it is not there. */
export function openPositions(folder: string): Positions {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Few attempts ever have a record; the others must not cost a look at the disk each.
  const present = new Set(readdirSync(folder));
  const pathOf = (attempt: string): string => join(folder, `${attempt}.json`);
  return {
    read(attempt) {
      if (!present.has(`${attempt}.json`)) return undefined;
      try {
        return record.parse(JSON.parse(readFileSync(pathOf(attempt), "utf8")));
      } catch (error) {
        if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
        throw new Error(`cannot read ${pathOf(attempt)}`, { cause: error });
      }
    },
    write(attempt, streams) {
      const of = ({ acked, floor, cap }: LogStream): Position => ({ acked, floor, cap });
      const path = pathOf(attempt);
      present.add(`${attempt}.json`);
      const file = openSync(`${path}.new`, "w", 0o600);
      try {
        writeSync(file, JSON.stringify({ stdout: of(streams.stdout), stderr: of(streams.stderr) }));
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(`${path}.new`, path);
    },
    drop(attempt) {
      if (present.delete(`${attempt}.json`)) rmSync(pathOf(attempt), { force: true });
    },
  };
}
