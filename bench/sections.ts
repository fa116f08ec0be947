/** Every section of the benchmarks, in order. */
import type { Section } from "./kit/section.ts";

export const sections: readonly Section[] = [];
