/**
 * Whether a JSON value has more than `levels` levels of objects and lists. Goes level by level: whoever walks such a value by
 * recursion, as schemas and `JSON.stringify` do, may exhaust the stack, and with it end the process.
 */
export function isDeeperThan(levels: number, value: unknown): boolean {
  let level = isNode(value) ? [value] : [];
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > levels) return true;
    level = level.flatMap((node) => Object.values(node).filter(isNode));
  }
  return false;
}

function isNode(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
