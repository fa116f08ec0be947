import { readFileSync } from "node:fs";

/** The JSON lines of a log that somebody may be writing; what it has not written to its end is left out, as is what is no JSON. */
export function jsonLines(file: string): any[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .slice(0, -1)
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
}
