/** What may happen to a worker, and what follows from it at once. */
import { judgeAcks, judgeBegin, judgeTerm } from "./judge.ts";
import { nameOf, replaced, spend, type Action, type Step } from "./step.ts";
import { gathered, type Downlink, type Wire } from "./wire.ts";
import type { WorkerNews, WorkerShell } from "./worker.ts";
import type { WorkerPart, World } from "./world.ts";

export class Hosts {
  readonly workers: WorkerShell;
  readonly #wire: Wire;

  constructor(workers: WorkerShell, wire: Wire) {
    this.workers = workers;
    this.#wire = wire;
  }

  /** A message arrives, or does not yet. */
  ofDownlink(world: World, flight: Downlink): Action[] {
    const again = world.left.repeats > 0;
    const worker = world.workers[flight.worker] as WorkerPart;
    if (!worker.agent || !worker.connected) return [];
    const label = `${nameOf(flight.worker)} takes ${flight.text}`;
    const take = (from: World, how: { dies?: boolean; note?: string } = {}): Step => {
      const input = { kind: "commands", message: flight.message } as const;
      return this.work(from, flight.worker, `${label}${how.note ?? ""}`, (part) =>
        this.workers.feed(part, input, flight.worker, from.nowMs, how.dies ?? false),
      );
    };
    const gone = { ...world, wire: world.wire.filter((each) => each !== flight) };
    const actions: Action[] = [{ label, play: async () => [take(gone)] }];
    if (again)
      actions.push({
        label: `${label}, and it may come again`,
        play: async () => [take(spend(world, "repeats"), { note: " (of two)" })],
      });
    if (world.left.deaths > 0)
      actions.push({
        label: `${label} and dies`,
        play: async () => [take(spend(gone, "deaths"), { dies: true, note: ", writes it down and dies" })],
      });
    return actions;
  }

  ofWorker(world: World, part: WorkerPart, at: number): Action[] {
    const name = nameOf(at);
    const { nowMs, left } = world;
    const action = (label: string, from: World, act: (draft: WorkerPart) => WorkerNews): Action => ({
      label,
      play: async () => [this.work(from, at, label, act)],
    });
    const actions: Action[] = [];
    for (const process of part.processes.values())
      if (!process.over && left.exits > 0)
        actions.push(
          action(`${process.attempt} exits on ${name}`, spend(world, "exits"), (draft) =>
            this.workers.exit(draft, process.attempt, at, nowMs),
          ),
        );
    if (left.reboots > 0) actions.push(action(`${name} reboots`, spend(world, "reboots"), (draft) => this.workers.reboot(draft)));
    if (!part.agent) {
      actions.push(
        action(`${name} starts`, world, (draft) => {
          const begun = this.workers.start(draft, at, nowMs);
          return joined([begun, this.workers.connect(draft, at, nowMs)]);
        }),
      );
      return actions;
    }
    if (part.told.length > 0 || this.workers.isDue(world, at))
      actions.push({ label: `${name} wakes`, play: async () => this.wakes(world, at) ?? [] });
    if (left.deaths > 0) actions.push(action(`${name} dies`, spend(world, "deaths"), (draft) => this.workers.die(draft)));
    if (part.connected && left.cuts > 0)
      actions.push(action(`${name} is cut off`, spend(world, "cuts"), (draft) => this.workers.cut(draft, at, nowMs)));
    if (!part.connected) actions.push(action(`${name} connects`, world, (draft) => this.workers.connect(draft, at, nowMs)));
    return actions;
  }

  work(world: World, at: number, label: string, act: (draft: WorkerPart) => WorkerNews): Step {
    const draft = this.workers.copy(world.workers[at] as WorkerPart);
    const news = act(draft);
    const violations = [
      ...news.begun.flatMap((process) => judgeBegin(world, at, process)),
      ...news.termed.flatMap((attempt) => judgeTerm(world, attempt)),
    ];
    let wire = world.wire;
    for (const { kind, message } of gathered(news.uplinks)) {
      wire = this.#wire.put(wire, this.#wire.uplink(at, kind, message));
    }
    const after = { ...world, wire, workers: replaced(world.workers, at, draft) };
    return { label, world: after, violations: [...violations, ...judgeAcks(after)] };
  }

  /** What its host has to tell, and a tick. */
  wakes(world: World, at: number): Step[] | undefined {
    const part = world.workers[at] as WorkerPart;
    if (!part.agent || (part.told.length === 0 && !this.workers.isDue(world, at))) return undefined;
    const label = `${nameOf(at)} ticks`;
    return [
      this.work(world, at, label, (draft) => {
        const all: WorkerNews[] = [];
        for (let input = draft.told.shift(); input; input = draft.told.shift())
          all.push(this.workers.feed(draft, input, at, world.nowMs));
        all.push(this.workers.tick(draft, at, world.nowMs));
        return joined(all);
      }),
    ];
  }
}

function joined(all: readonly WorkerNews[]): WorkerNews {
  return {
    uplinks: all.flatMap(({ uplinks }) => uplinks),
    begun: all.flatMap(({ begun }) => begun),
    termed: all.flatMap(({ termed }) => termed),
  };
}
