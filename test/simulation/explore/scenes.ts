import type { Bounds } from "./step.ts";
import type { Budget } from "./world.ts";

/** Where an exploration begins and what may happen in it. */
export interface Scene {
  readonly name: string;
  readonly about: string;
  readonly task: Readonly<Record<string, unknown>>;
  readonly intervals: { readonly unreachable: number; readonly startTtl: number; readonly workerLost: number };
  readonly bounds: Bounds;
  /** What has happened before the exploration begins: labels of steps, or how they begin. */
  readonly already: readonly string[];
  readonly left: Partial<Budget>;
  /** The same in a moment, for `npm test`; none when it is quick as it is. */
  readonly small: Partial<Budget>;
}

const asUsual = { unreachable: 2.5, startTtl: 3.5, workerLost: 7.5 };
/** A worker is lost after two silent intervals, so that the fence is within reach. */
const impatient = { unreachable: 1, startTtl: 1.5, workerLost: 2 };
const bounds = { flights: 3, inbox: 1, quantumMs: 1_000 };
const wait = { onLost: "wait" };
const placed = ["m1 takes w1's hello", "m1 takes w2's hello", "w2 takes sync"];
const runs = [...placed, "w1 takes sync+start", "m1 takes w1's reports"];

export const scenes: readonly Scene[] = [
  {
    name: "turn",
    about: "a leader stands still between its decision and its commit, and the other takes the lease meanwhile",
    task: wait,
    intervals: asUsual,
    bounds,
    already: [],
    left: { takeovers: 2, pauses: 2, exits: 1 },
    small: { takeovers: 1, pauses: 1 },
  },
  {
    name: "late",
    about: "a start is late, and the other manager takes the lease before it comes",
    task: wait,
    intervals: asUsual,
    bounds,
    already: placed,
    left: { takeovers: 1, quanta: 2 },
    small: { takeovers: 1, quanta: 1 },
  },
  {
    name: "store",
    about: "a commit is answered with an error, done or not, and anybody may take the lease before it is tried again",
    task: wait,
    intervals: asUsual,
    bounds,
    already: [],
    left: { takeovers: 1, storeErrors: 2, exits: 1 },
    small: { takeovers: 1, storeErrors: 1 },
  },
  {
    name: "agent",
    about: "an agent dies, also between its journal and its acts, and a message comes twice",
    task: wait,
    intervals: asUsual,
    bounds,
    already: placed,
    left: { deaths: 1, repeats: 1, exits: 1 },
    small: { deaths: 1, exits: 1 },
  },
  {
    name: "stop",
    about: "the run is to be stopped, whatever is under way",
    task: wait,
    intervals: asUsual,
    bounds,
    already: placed,
    left: { stops: 1, deaths: 1, repeats: 1, exits: 1 },
    small: { stops: 1, repeats: 1, exits: 1 },
  },
  {
    name: "host",
    about: "a host is rebooted or its connection is cut",
    task: wait,
    intervals: asUsual,
    bounds,
    already: placed,
    left: { reboots: 1, cuts: 1, exits: 1 },
    small: { reboots: 1, exits: 1 },
  },
  {
    name: "fence",
    about: "a task asks for another attempt when its worker is lost, and agents and leaders stand still",
    task: { onLost: "retry", lostAfterSeconds: 3, killGraceSeconds: 0 },
    intervals: impatient,
    bounds: { ...bounds, flights: 1 },
    already: runs,
    left: { cuts: 1, stills: 1, quanta: 5 },
    small: { cuts: 1, quanta: 5 },
  },
];
