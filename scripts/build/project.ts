import { readFileSync } from "node:fs";
import { join } from "node:path";

interface Project {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
}

/** What package.json says of the project in this folder. */
export function readProject(folder: string): Project {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Project;
}
