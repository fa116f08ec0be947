import { problem } from "../../schema/problem.ts";

/**
 * Which of the offered media types the client likes best; the first one when it does not say. 406 when it likes none
 * (RFC 9110 section 12.5.1; the most exact range that fits a type decides its weight).
 */
export function preferred<T extends string>(header: string | undefined, offered: readonly [T, ...T[]]): T {
  if (header === undefined || header.trim() === "") return offered[0];
  const ranges = header.split(",").map((part) => {
    const [range = "", ...options] = part.split(";").map((text) => text.trim().toLowerCase());
    const q = options.find((option) => option.startsWith("q="));
    return { range, weight: q === undefined ? 1 : Number(q.slice(2)) };
  });
  let best: { readonly type: T; readonly weight: number } | undefined;
  for (const type of offered) {
    const fitting = [type, `${type.split("/", 1)[0]}/*`, "*/*"]
      .map((range) => ranges.find((r) => r.range === range))
      .find((r) => r !== undefined);
    const weight = fitting?.weight ?? 0;
    if (weight > (best?.weight ?? 0)) best = { type, weight };
  }
  if (!best) throw problem("not-acceptable", `this can be given as ${offered.join(", ")}`);
  return best.type;
}
