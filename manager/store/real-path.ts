/** The one name of a file or folder behind symbolic links, also where there is nothing yet: locks lie beside what they guard. */
import { lstatSync, readlinkSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  // A link to what is not there yet: SQLite would make the file there.
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true)
    return realPath(resolve(dirname(path), readlinkSync(path)));
  return join(realPath(dirname(path)), basename(path));
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
