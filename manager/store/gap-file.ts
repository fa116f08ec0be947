/** The file of a stream's gaps: one JSON array, replaced whole, so that it is never half written. */
import { open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import * as z from "zod";
import type { Gap } from "./gaps.ts";

const gapFile = z.array(z.strictObject({ offset: z.int().min(0), length: z.int().min(1), why: z.string() }));

/**
 * The gaps of a stream that has `kept` bytes. A gap that begins beyond them shows that bytes were lost after they were
 * written (a power cut on a disk that lied): what is missing becomes a gap too, so that every offset stays true. `mended`
 * says so; whoever appends must write the gaps before anything else, or later bytes would pass for the missing ones.
 */
export async function readGaps(path: string, kept: number): Promise<{ readonly gaps: readonly Gap[]; readonly mended: boolean }> {
  const written = await readIfThere(path);
  const gaps: Gap[] = [];
  let end = 0;
  let left = kept;
  for (const gap of written) {
    const between = gap.offset - end;
    if (between > left) gaps.push({ offset: end + left, length: between - left, why: "lost when the manager's host failed" });
    left = Math.max(0, left - between);
    gaps.push(gap);
    end = gap.offset + gap.length;
  }
  return { gaps, mended: gaps.length > written.length };
}

async function readIfThere(path: string): Promise<Gap[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return gapFile.parse(JSON.parse(text));
}

/** Writes beside and renames; file and folder are synced, because later bytes are placed by it. */
export async function writeGaps(path: string, gaps: readonly Gap[]): Promise<void> {
  const beside = `${path}.new`;
  {
    await using file = await open(beside, "w", 0o600);
    await file.writeFile(JSON.stringify(gaps));
    await file.sync();
  }
  await rename(beside, path);
  // A folder cannot be synced on Windows; NTFS journals the rename itself.
  if (process.platform === "win32") return;
  await using folder = await open(dirname(path), "r");
  await folder.sync();
}
