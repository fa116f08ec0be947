/** Everything that may happen next in a state, each with the state that it leads to. */
import { Hosts } from "./hosts.ts";
import { Intervals } from "./interval.ts";
import { Leaders } from "./leaders.ts";
import type { ManagerShell } from "./manager.ts";
import type { Parts } from "./parts.ts";
import type { Action, Bounds } from "./step.ts";
import { Wire } from "./wire.ts";
import type { WorkerShell } from "./worker.ts";
import type { World } from "./world.ts";

export class Steps {
  readonly managers: ManagerShell;
  readonly workers: WorkerShell;
  readonly #hosts: Hosts;
  readonly #leaders: Leaders;
  readonly #intervals: Intervals;

  constructor(parts: Parts, managers: ManagerShell, workers: WorkerShell, bounds: Bounds) {
    const wire = new Wire(parts, bounds.flights);
    this.managers = managers;
    this.workers = workers;
    this.#hosts = new Hosts(workers, wire);
    this.#leaders = new Leaders(managers, this.#hosts, wire, bounds.inbox);
    this.#intervals = new Intervals(this.#hosts, this.#leaders, bounds.quantumMs);
  }

  actions(world: World): Action[] {
    return [
      ...world.wire.flatMap((flight) =>
        flight.to === "worker" ? this.#hosts.ofDownlink(world, flight) : this.#leaders.ofUplink(world, flight),
      ),
      ...world.managers.flatMap((part, at) => this.#leaders.ofManager(world, part, at)),
      ...world.workers.flatMap((part, at) => this.#hosts.ofWorker(world, part, at)),
      ...this.#intervals.of(world),
    ];
  }
}
