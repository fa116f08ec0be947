import { workerIds, type Budget, type World } from "./world.ts";

export interface Step {
  readonly label: string;
  readonly world: World;
  readonly violations: readonly string[];
}

/** One thing that may happen. It may have two outcomes, when a placement may choose. */
export interface Action {
  readonly label: string;
  readonly play: () => Promise<readonly Step[]>;
}

export interface Bounds {
  /** Messages under way to one worker, and from one; the oldest is lost when there are more. */
  readonly flights: number;
  /** What piles up at a manager that stands still; more is dropped. */
  readonly inbox: number;
  readonly quantumMs: number;
}

/** What may follow each of these, as one step with it. */
export async function each(
  steps: readonly Step[],
  next: (world: World) => Promise<readonly Step[] | undefined>,
): Promise<Step[]> {
  const all: Step[] = [];
  for (const step of steps) {
    const after = step.violations.length > 0 ? undefined : await next(step.world);
    if (!after) all.push(step);
    else for (const one of after) all.push({ ...one, label: `${step.label}; ${one.label}` });
  }
  return all;
}

export function spend(world: World, what: keyof Budget): World {
  return { ...world, left: { ...world.left, [what]: world.left[what] - 1 } };
}

export function replaced<T>(items: readonly T[], at: number, item: T): T[] {
  return items.map((one, index) => (index === at ? item : one));
}

export function nameOf(at: number): string {
  return workerIds[at] ?? String(at);
}
