/** Set by scripts/build.ts; not there in the source. */
declare const MUSTER_IS_RELEASE: boolean | undefined;

const isRelease = typeof MUSTER_IS_RELEASE !== "undefined";

/** How whoever reads a sentence starts a part of Muster here: from the source by npm, in a release by its own file. */
export function commandOf(part: string, args = ""): string {
  if (isRelease) return `node muster.js ${part}${args === "" ? "" : ` ${args}`}`;
  return `npm ${part === "start" ? "start" : `run ${part}`}${args === "" ? "" : ` -- ${args}`}`;
}
