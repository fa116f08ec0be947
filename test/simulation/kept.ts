import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Plan } from "./plan.ts";

/** A plan that failed once, cut to what it needed, and why. It is played again with every `npm test`. */
export interface Kept {
  readonly why: string;
  readonly plan: Plan;
}

const file = join(import.meta.dirname, "seeds.json");

export function keptPlans(): Kept[] {
  return JSON.parse(readFileSync(file, "utf8")) as Kept[];
}

/** Keeps one more, unless it is kept already. */
export function keepPlan(kept: Kept): void {
  const plans = keptPlans();
  if (plans.some((one) => JSON.stringify(one.plan) === JSON.stringify(kept.plan))) return;
  writeFileSync(file, `${JSON.stringify([...plans, kept], undefined, 2)}\n`);
}
