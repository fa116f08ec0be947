/** Copies of mutable states, so that one state has many futures. */

/** What the product replaces and never changes in place: shared by all copies, and frozen, so that a change of it throws. */
const replaced: ReadonlySet<string> = new Set([
  "row",
  "entry",
  "order",
  "options",
  "definition",
  "record",
  "report",
  "requires",
  "constraints",
  "facts",
  "capacity",
  "labels",
  "settings",
]);

/** A copy in which what was one object is one object again. Functions and frozen objects are shared. */
export function copyGraph<T>(root: T): T {
  return copyValue(root, new Map()) as T;
}

function copyValue(value: unknown, made: Map<object, object>): unknown {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  const known = made.get(value);
  if (known) return known;
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    made.set(value, copy);
    for (const item of value) copy.push(copyValue(item, made));
    return copy;
  }
  if (value instanceof Map) {
    const copy = new Map<unknown, unknown>();
    made.set(value, copy);
    for (const [key, item] of value) copy.set(copyValue(key, made), copyValue(item, made));
    return copy;
  }
  if (value instanceof Set) {
    const copy = new Set<unknown>();
    made.set(value, copy);
    for (const item of value) copy.add(copyValue(item, made));
    return copy;
  }
  return copyObject(value as Record<string, unknown>, made);
}

function copyObject(value: Record<string, unknown>, made: Map<object, object>): object {
  const copy: Record<string, unknown> = {};
  made.set(value, copy);
  for (const key in value) {
    const item = value[key];
    copy[key] = replaced.has(key) && key in value ? freezeGraph(item) : copyValue(item, made);
  }
  return copy;
}

/** Freezes plain data, whole. */
export function freezeGraph<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  if (value instanceof Map || value instanceof Set) return value;
  Object.freeze(value);
  for (const item of Object.values(value)) freezeGraph(item);
  return value;
}
