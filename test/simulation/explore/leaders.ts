/** What may happen to a manager, and what follows from it at once. */
import type { Input } from "../../../manager/control/inputs.ts";
import type { Hosts } from "./hosts.ts";
import { judgeChanges } from "./judge.ts";
import type { CommitFate, ManagerShell, TurnResult } from "./manager.ts";
import { each, nameOf, replaced, spend, type Action, type Step } from "./step.ts";
import { isBareAck, type Downlink, type Uplink, type Wire } from "./wire.ts";
import { runId, type ManagerPart, type WorkerPart, type World } from "./world.ts";

export class Leaders {
  readonly managers: ManagerShell;
  readonly #hosts: Hosts;
  readonly #wire: Wire;
  readonly #inbox: number;

  constructor(managers: ManagerShell, hosts: Hosts, wire: Wire, inbox: number) {
    this.managers = managers;
    this.#hosts = hosts;
    this.#wire = wire;
    this.#inbox = inbox;
  }

  /** Whoever believes to lead hears it, one after the other; or only one of them does. */
  ofUplink(world: World, flight: Uplink): Action[] {
    const leaders = [...world.managers.keys()].filter((at) => this.#takes(world.managers[at]));
    const gone = { ...world, wire: world.wire.filter((each) => each !== flight) };
    const [first, second] = leaders;
    if (first === undefined) return [];
    const actions: Action[] = [];
    if (second === undefined) actions.push(...this.uplinkTo(gone, first, flight, ""));
    else {
      if (world.left.lates > 0)
        actions.push(...leaders.flatMap((at) => this.uplinkTo(spend(gone, "lates"), at, flight, " alone")));
      actions.push(
        ...this.uplinkTo(gone, first, flight, "").map(({ label, play }) => ({
          label: `${label}, and so does m${second + 1}`,
          play: async () =>
            await each(await play(), async (from) =>
              this.#takes(from.managers[second]) ? await this.uplinkTo(from, second, flight, "")[0]?.play() : undefined,
            ),
        })),
      );
    }
    if (world.left.repeats > 0)
      actions.push(...leaders.flatMap((at) => this.uplinkTo(spend(world, "repeats"), at, flight, " (of two)").slice(0, 1)));
    return actions;
  }

  #takes(part: ManagerPart | undefined): boolean {
    return Boolean(part?.lead) && !(part?.held && part.inbox.length >= this.#inbox);
  }

  uplinkTo(world: World, at: number, flight: Uplink, note: string): Action[] {
    const part = world.managers[at] as ManagerPart;
    const label = `m${at + 1} takes ${flight.text}${note}`;
    if (!part.held) return this.turns(world, at, [flight.input], label);
    const managers = replaced(world.managers, at, { ...part, inbox: [...part.inbox, flight.input] });
    return [
      {
        label: `${label} for later`,
        play: async () => [{ label: `${label} for later`, world: { ...world, managers }, violations: [] }],
      },
    ];
  }

  ofManager(world: World, part: ManagerPart, at: number): Action[] {
    const name = `m${at + 1}`;
    const actions: Action[] = [];
    if (world.left.takeovers > 0)
      actions.push({
        label: `${name} takes the lease`,
        play: async () => {
          const { part: taken, store } = await this.managers.takeOver(world, at);
          const after = { ...spend(world, "takeovers"), store, managers: replaced(world.managers, at, taken) };
          return [{ label: `${name} takes the lease`, world: after, violations: [] }];
        },
      });
    if (!part.lead) return actions;
    if (part.held) {
      actions.push(...this.#fates(world).map((fate) => this.#goOn(world, at, fate)));
      return actions;
    }
    if (part.inbox.length > 0 || this.managers.isDue(world, at))
      actions.push(...this.turns(world, at, [{ kind: "tick" }], `${name} ticks`));
    if (world.left.stops > 0) {
      const request = { kind: "stopRun", runId, graceSeconds: 0, by: "client", byReason: null } as const;
      const asked = { ...spend(world, "stops"), stop: { ...world.stop, asked: true } };
      actions.push(
        ...this.turns(asked, at, [{ kind: "request", ticket: stopTicket, request }], `${name} is asked to stop the run`),
      );
    }
    return actions;
  }

  #fates(world: World): Exclude<CommitFate, "held">[] {
    return world.left.storeErrors > 0 ? ["answered", "errorUndone", "errorDone"] : ["answered"];
  }

  turns(world: World, at: number, inputs: readonly Input[], label: string): Action[] {
    const waiting = world.managers[at]?.inbox ?? [];
    const fates: CommitFate[] = world.left.pauses > 0 ? [...this.#fates(world), "held"] : this.#fates(world);
    return fates.map((fate) => ({
      label: `${label}${fateNotes[fate]}`,
      play: async () => {
        const spent = fate === "held" ? spend(world, "pauses") : fate === "answered" ? world : spend(world, "storeErrors");
        const steps: Step[] = [];
        for (const prefer of [0, 1]) {
          const result = await this.managers.turn(spent, at, [...waiting, ...inputs], fate, prefer);
          const note = result.couldChoose ? `, prefers ${nameOf(prefer)}` : "";
          steps.push(this.#afterTurn(spent, at, result, `${label}${fateNotes[fate]}${note}`));
          if (!result.couldChoose) break;
        }
        return steps;
      },
    }));
  }

  #goOn(world: World, at: number, fate: Exclude<CommitFate, "held">): Action {
    const label = `m${at + 1} goes on with its commit${fateNotes[fate]}`;
    return {
      label,
      play: async () => {
        const spent = fate === "answered" ? world : spend(world, "storeErrors");
        const result = await this.managers.goOn(spent, at, fate);
        const inbox = world.managers[at]?.inbox ?? [];
        return [this.#afterTurn(spent, at, { ...result, part: { ...result.part, inbox } }, label)];
      },
    };
  }

  #afterTurn(world: World, at: number, result: TurnResult, label: string): Step {
    const violations = judgeChanges(world, result.store, result.changes);
    const answered = result.answers.some(({ ticket, kind }) => ticket === stopTicket && kind === "run");
    if (answered && world.stop.asked && !result.store.tables.runs.get(runId)?.stop && !isOver(result))
      violations.push("the stop was answered, and is not stored");
    let wire = world.wire;
    const acks: Downlink[] = [];
    for (const { term, command } of result.commands) {
      const flight = this.#wire.downlink(term, command);
      if (isBareAck(flight)) acks.push(flight);
      else wire = this.#wire.put(wire, flight);
    }
    const after: World = {
      ...world,
      wire,
      store: result.store,
      ids: result.ids,
      managers: replaced(world.managers, at, result.part),
      stop: { ...world.stop, answered: world.stop.answered || answered },
    };
    return this.#acknowledge({ label, violations, world: after }, acks);
  }

  /** Nothing but the worker's memory hangs on a bare ack: it arrives at once, or never. */
  #acknowledge(step: Step, acks: readonly Downlink[]): Step {
    let { world } = step;
    const violations = [...step.violations];
    for (const { worker, message } of acks) {
      const part = world.workers[worker] as WorkerPart;
      if (!part.agent || !part.connected) continue;
      const taken = this.#hosts.work(world, worker, "", (draft) =>
        this.#hosts.workers.feed(draft, { kind: "commands", message }, worker, world.nowMs),
      );
      violations.push(...taken.violations);
      world = taken.world;
    }
    return { ...step, world, violations };
  }
}

const stopTicket = 2;
const fateNotes: Readonly<Record<CommitFate, string>> = {
  answered: "",
  errorUndone: " (an error; it was not done)",
  errorDone: " (an error; it was done)",
  held: " and stands still before its commit",
};

function isOver(result: TurnResult): boolean {
  return result.store.tables.runs.get(runId)?.endedAt !== null;
}
