/** The passing of time: an interval in which every agent and leader ticks that does not stand still. */
import type { Hosts } from "./hosts.ts";
import type { Leaders } from "./leaders.ts";
import { each, nameOf, type Action, type Step } from "./step.ts";
import type { World } from "./world.ts";

export class Intervals {
  readonly #hosts: Hosts;
  readonly #leaders: Leaders;
  readonly #quantumMs: number;

  constructor(hosts: Hosts, leaders: Leaders, quantumMs: number) {
    this.#hosts = hosts;
    this.#leaders = leaders;
    this.#quantumMs = quantumMs;
  }

  of(world: World): Action[] {
    const { quanta, stills, lates } = world.left;
    if (quanta === 0) return [];
    const nodes = [
      ...world.workers.flatMap(({ agent }, at) => (agent ? [nameOf(at)] : [])),
      ...world.managers.flatMap(({ lead, held }, at) => (lead && !held ? [`m${at + 1}`] : [])),
    ];
    const beating = world.workers.flatMap(({ agent, connected }, at) => (agent && connected ? [nameOf(at)] : []));
    return subsets(nodes, stills).flatMap((still) =>
      subsets(
        beating.filter((name) => !still.includes(name)),
        lates,
      ).map((late) => {
        const label = [
          "time passes",
          ...still.map((name) => `${name} stands still`),
          ...late.map((name) => `${name}'s beat is late`),
        ].join(", ");
        return { label, play: () => this.#time(world, { still, late, label }) };
      }),
    );
  }

  /** An interval later: watchdogs look, agents tick, their heartbeats arrive, leaders tick. */
  async #time(
    world: World,
    how: { readonly still: readonly string[]; readonly late: readonly string[]; readonly label: string },
  ): Promise<Step[]> {
    const nowMs = world.nowMs + this.#quantumMs;
    const workers = world.workers.map((part, at) => {
      const draft = this.#hosts.workers.copy(part);
      return this.#hosts.workers.watchdog(draft, at, nowMs) ? draft : part;
    });
    const left = {
      ...world.left,
      quanta: world.left.quanta - 1,
      stills: world.left.stills - how.still.length,
      lates: world.left.lates - how.late.length,
    };
    let steps: Step[] = [{ label: how.label, world: { ...world, left, nowMs, workers }, violations: [] }];
    for (const at of world.workers.keys()) {
      if (how.still.includes(nameOf(at))) continue;
      steps = await each(steps, async (from) => this.#hosts.wakes(from, at));
      if (!how.late.includes(nameOf(at))) steps = await each(steps, (from) => this.#beats(from, at));
    }
    for (const at of world.managers.keys()) {
      if (how.still.includes(`m${at + 1}`)) continue;
      steps = await each(steps, async (from) => {
        const part = from.managers[at];
        if (!part?.lead || part.held || !this.#leaders.managers.isDue(from, at)) return undefined;
        return await this.#leaders.turns(from, at, [{ kind: "tick" }], `m${at + 1} ticks`)[0]?.play();
      });
    }
    return steps;
  }

  async #beats(world: World, at: number): Promise<Step[] | undefined> {
    const beat = world.wire.find(
      (flight) => flight.to === "managers" && flight.worker === at && flight.input.kind === "heartbeat",
    );
    if (beat?.to !== "managers") return undefined;
    let steps: Step[] = [
      { label: "its beat arrives", world: { ...world, wire: world.wire.filter((each) => each !== beat) }, violations: [] },
    ];
    for (const manager of world.managers.keys())
      steps = await each(steps, async (from) => {
        const part = from.managers[manager];
        return part?.lead && !part.held ? await this.#leaders.uplinkTo(from, manager, beat, "")[0]?.play() : undefined;
      });
    return steps;
  }
}

/** Every choice of at most `most` of them, none first. */
function subsets<T>(items: readonly T[], most: number): T[][] {
  let all: T[][] = [[]];
  for (const item of items) all = [...all, ...all.filter(({ length }) => length < most).map((some) => [...some, item])];
  return all;
}
