/** `npm run simulate -- --explore`: everything that may happen in small worlds, and the bugs that it must find there. */
import { resolve } from "node:path";
import { processClock } from "../../../schema/kit/clock.ts";
import { plantTree } from "../planted.ts";
import { Explorer, type Explored } from "./explore.ts";
import { loadParts } from "./parts.ts";
import { scenes } from "./scenes.ts";
import { doubleStart, withoutTerms } from "./terms.ts";

const root = resolve(import.meta.dirname, "../../..");
/** Fewer states than these were no exploration. */
export const leastStates = 100_000;
/** Bugs are near: passes of so many steps come first, so that the story is short. */
const depths = [5, 6, 7, 8, 9];

/** Explores every scene, and then without each of the term checks; 1 when something is violated or a bug is not found. */
export async function explore(say: (line: string) => void): Promise<number> {
  let states = 0;
  let wrong = 0;
  for (const scene of scenes) {
    const beganMs = processClock.now().mono;
    const explored = await new Explorer(await loadParts(root), scene).explore();
    states += explored.states;
    say(`${scene.name.padEnd(8)} ${figures(explored, beganMs)}: ${scene.about}`);
    say(
      `         budgets: ${Object.entries(scene.left)
        .map(([what, count]) => `${what} ${count}`)
        .join(", ")}`,
    );
    if (!explored.found) continue;
    wrong += 1;
    tell(explored, say);
  }
  say(`${states} distinct states, budgets included, with 2 managers, 2 workers and 1 run; ${wrong} scenes with violations`);
  if (states < leastStates) say(`TOO FEW: at least ${leastStates} states were to be seen`);
  for (const bug of withoutTerms) {
    const beganMs = processClock.now().mono;
    const explored = await findDoubleStart(bug);
    say(`\nPlanted (rule ${bug.rule}): ${bug.name}: ${figures(explored, beganMs)}`);
    if (!explored.found) wrong += 1;
    tell(explored, say);
  }
  return wrong > 0 || states < leastStates ? 1 : 0;
}

/** Looks for the double start without one of the checks of the term. */
export async function findDoubleStart(bug: (typeof withoutTerms)[number]): Promise<Explored> {
  const scene = scenes.find(({ name }) => name === bug.scene);
  if (!scene) throw new Error(`there is no scene ${bug.scene}`);
  using planted = plantTree(bug);
  return await new Explorer(await loadParts(planted.folder), scene).explore({ counts: doubleStart, depths });
}

function figures({ states, steps, deepest, whole }: Explored, beganMs: number): string {
  const seconds = ((processClock.now().mono - beganMs) / 1_000).toFixed(1);
  return `${states} states, ${steps} steps, ${deepest} deep, ${whole ? "whole" : "until it was found"}, ${seconds} s`;
}

function tell({ found }: Explored, say: (line: string) => void): void {
  if (!found) return say("  NOTHING FOUND");
  for (const line of found.story) say(`  ${line}`);
  for (const line of found.violations) say(`  VIOLATED: ${line}`);
}
