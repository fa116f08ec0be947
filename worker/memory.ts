import { readFileSync } from "node:fs";

/** The smallest memory limit of the control groups that this process is in, in bytes; Infinity when there is none. */
export function memoryLimitBytes(cgroups = read("/proc/self/cgroup"), root = "/sys/fs/cgroup"): number {
  let limit = Infinity;
  for (const line of (cgroups ?? "").split("\n")) {
    const [, controllers, path] = /^[0-9]+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    const one = controllers === "";
    if (!one && !controllers.split(",").includes("memory")) continue;
    const folder = one ? root : `${root}/memory`;
    const file = one ? "memory.max" : "memory.limit_in_bytes";
    // A limit holds for everything below it. In a container the path may be the host's, and only the root is there.
    for (let at = path; ; at = at.slice(0, at.lastIndexOf("/"))) {
      const text = read(`${folder}${at === "/" ? "" : at}/${file}`)?.trim();
      // v1 says "no limit" as a number near 2^63.
      const bytes = text === undefined || text === "max" || text === "" ? Infinity : Number(text);
      if (bytes > 0 && bytes < limit) limit = bytes;
      if (at === "" || at === "/") break;
    }
  }
  return limit;
}

/** Undefined when the file is not there or not ours to read. */
function read(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return undefined;
  }
}
