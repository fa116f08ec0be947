/**
 * What a seed is going to do, as data: the same plan plays the same world, and a plan that fails can be cut. Plans of failing
 * seeds are kept in seeds.json, so that a later change of this file does not shift them.
 */
import { Chance } from "./seeded.ts";

export interface Plan {
  readonly seed: number;
  readonly timing: PlanTiming;
  readonly weather: Weather;
  readonly workers: readonly { readonly id: string; readonly slots: number }[];
  readonly clients: readonly ClientPlan[];
  readonly faults: readonly Fault[];
}

/** Everything that waits in the product, small enough that each wait passes in the three minutes after everything healed. */
export interface PlanTiming {
  readonly heartbeatMs: number;
  readonly brakeHoldMs: number;
  readonly startResendMs: number;
  readonly giveUpAfterSeconds: number;
  readonly lostAfterSeconds: number;
}

/** How bad the wire and the database are while faults go on. Probabilities for each message or call; ms. */
export interface Weather {
  readonly loss: number;
  readonly repeat: number;
  readonly maxDelayMs: number;
  /** Of a commit: an error before it, an error although it was done, an error and done later; of any call: slow. */
  readonly storeFails: number;
  readonly storeLies: number;
  readonly storeLate: number;
  readonly storeSlow: number;
}

/** One client, who wants one run. */
export interface ClientPlan {
  readonly name: string;
  readonly atMs: number;
  /** Index into `taskKinds`. */
  readonly task: number;
  readonly workMs: number;
  readonly code: number;
  readonly exec: boolean;
  /** Its process ignores TERM. */
  readonly deaf: boolean;
  /** Bytes of output. */
  readonly output: number;
  /** Sends an Idempotency-Key of its own. */
  readonly keyed: boolean;
  /** The database refuses the run's row, or its result, for good. */
  readonly unstorable?: "start" | "end";
  readonly stopAfterMs?: number;
  readonly signalAfterMs?: number;
  readonly rerunAfterMs?: number;
}

export const faultKinds = [
  "agentKill",
  "agentKillAtStep",
  "agentPause",
  "agentStop",
  "cut",
  "oneWay",
  "reboot",
  "suspend",
  "vmPause",
  "diskFull",
  "clockJump",
  "duplicateId",
  "restoredCopy",
  "drain",
  "remove",
  "destroyed",
  "managerKill",
  "managerKillAtCommit",
  "managerPause",
  "managerSuspend",
  "managerStop",
  "managerCut",
  "managerNoDatabase",
  "brokerRestart",
  "databaseDown",
  "silence",
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** Something that goes wrong, at an instant, to somebody (a worker or a manager), for so long; `how` as the kind needs it. */
export interface Fault {
  readonly atMs: number;
  readonly kind: FaultKind;
  readonly who: string;
  readonly forMs: number;
  readonly how: string;
}

export const managerIds = ["m1", "m2"] as const;
export const faultsUntilMs = 420_000;
/** The world ends here, unless work is left then. */
export const worldEndsMs = 600_000;
/** By then even one slot that is left has done the work of all clients, retries included. */
export const worldEndsAtLastMs = worldEndsMs + 2 * 3_600_000;
/** Longer than any work, grace, backoff or fence of a plan: who waits for one of these sees something move sooner. */
export const stillMs = 90_000;

interface TaskKind {
  readonly onLost: "wait" | "fail" | "retry";
  readonly attemptOverlap?: "allow";
  readonly timeoutSeconds?: number;
  readonly retry?: { readonly attempts: number; readonly backoffSeconds: number };
}

/** How tasks differ; every client names one. */
export const taskKinds: readonly TaskKind[] = [
  { onLost: "wait" },
  { onLost: "wait", retry: { attempts: 3, backoffSeconds: 1 } },
  { onLost: "fail" },
  { onLost: "retry" },
  { onLost: "wait", timeoutSeconds: 3 },
  { onLost: "retry", timeoutSeconds: 3, retry: { attempts: 2, backoffSeconds: 1 } },
  { onLost: "retry", attemptOverlap: "allow" },
  { onLost: "fail", timeoutSeconds: 60, retry: { attempts: 2, backoffSeconds: 5 } },
];

const worksMs = [5, 200, 200, 2_000, 2_000, 9_000, 25_000, 45_000];
const sprintsMs = [5, 5, 5, 5, 200, 25_000];
/** Kinds whose fence matters: what they run must still be there when it passes. */
const fencedKinds: ReadonlySet<number> = new Set([3, 6]);
const fencedWorkMs = [200, 2_000, 45_000, 60_000];

/** How often a fault of a kind comes beside the others. */
const often: Readonly<Partial<Record<FaultKind, number>>> = {
  cut: 4,
  agentKill: 3,
  agentKillAtStep: 4,
  suspend: 3,
  managerPause: 4,
  managerKill: 4,
  managerKillAtCommit: 4,
  databaseDown: 2,
  oneWay: 2,
};
const kindsByChance: readonly FaultKind[] = faultKinds.flatMap((kind) => Array.from({ length: often[kind] ?? 1 }, () => kind));

/** The plan of a seed. */
export function planOf(seed: number): Plan {
  const chance = new Chance(seed);
  const heartbeatMs = chance.pick([3_000, 4_000, 5_000]);
  // Many short runs at once on few slots: workers whose slots come free fast are sent starts that wait there.
  const sprints = chance.happens(0.2);
  const rushesMs = (sprints ? [0] : [0, 0, 0, 0]).map(() => chance.between(3_000, faultsUntilMs - 80_000));
  const most = sprints ? { workers: 4, slots: 2 } : { workers: 8, slots: 3 };
  const workers = Array.from({ length: chance.between(3, most.workers) }, (_, i) => ({
    id: `w${i + 1}`,
    slots: chance.between(1, most.slots),
  }));
  return {
    seed,
    timing: {
      heartbeatMs,
      brakeHoldMs: 15 * heartbeatMs,
      startResendMs: 20_000,
      giveUpAfterSeconds: (20 * heartbeatMs) / 1_000,
      lostAfterSeconds: (chance.pick([8, 10]) * heartbeatMs) / 1_000,
    },
    weather: {
      loss: chance.pick([0, 0.02, 0.1, 0.3]),
      repeat: chance.pick([0, 0.05, 0.3, 0.5]),
      maxDelayMs: chance.pick([20, 400, 2_000]),
      storeFails: chance.pick([0, 0.01, 0.05]),
      storeLies: chance.pick([0, 0.01, 0.05]),
      storeLate: chance.pick([0, 0.01, 0.02]),
      storeSlow: chance.pick([0, 0.01, 0.05]),
    },
    workers,
    clients: clientsOf(chance, rushesMs, sprints ? sprintsMs : worksMs),
    faults: faultsOf(
      chance,
      workers.map(({ id }) => id),
      { heartbeatMs, rushesMs },
    ),
  };
}

/** Most of them come in rushes, so that starts wait on their workers for room. */
function clientsOf(chance: Chance, rushesMs: readonly number[], works: readonly number[]): ClientPlan[] {
  const untilMs = faultsUntilMs - 70_000;
  return Array.from({ length: chance.between(40, 60) }, (_, i): ClientPlan => {
    const later = (probability: number, maxMs: number): number | undefined =>
      chance.happens(probability) ? chance.between(0, maxMs) : undefined;
    const exec = !chance.happens(0.05);
    const unstorable = chance.happens(0.03) ? chance.pick(["start", "end"] as const) : undefined;
    const stopAfterMs = later(0.25, 8_000);
    const signalAfterMs = later(0.15, 8_000);
    const rerunAfterMs = later(0.08, 20_000);
    // A result that cannot be stored ends lost: with `onLost: retry` it would run for ever.
    const task = unstorable ? chance.pick([0, 2]) : chance.between(0, taskKinds.length - 1);
    return {
      name: `c${i + 1}`,
      atMs: 1_000 + (chance.happens(0.7) ? chance.pick(rushesMs) + chance.between(0, 300) : chance.between(0, untilMs)),
      task,
      workMs: chance.pick(works === worksMs && fencedKinds.has(task) ? fencedWorkMs : works),
      code: chance.happens(0.3) ? chance.between(1, 9) : 0,
      exec,
      deaf: chance.happens(0.2),
      output: chance.pick([0, 0, 0, 10, 500]),
      keyed: chance.happens(0.5),
      ...(unstorable ? { unstorable } : {}),
      ...(stopAfterMs === undefined ? {} : { stopAfterMs }),
      ...(signalAfterMs === undefined ? {} : { signalAfterMs }),
      ...(rerunAfterMs === undefined ? {} : { rerunAfterMs }),
    };
  });
}

function faultsOf(
  chance: Chance,
  workers: readonly string[],
  { heartbeatMs, rushesMs }: { readonly heartbeatMs: number; readonly rushesMs: readonly number[] },
): Fault[] {
  return Array.from({ length: chance.between(20, 30) }, (): Fault => {
    const kind = chance.pick(kindsByChance);
    // The longest: until the fence has passed and another attempt may begin.
    const forMs = chance.pick([10, 500, heartbeatMs, 3 * heartbeatMs, 10 * heartbeatMs, 16 * heartbeatMs]);
    // Half of them about when much is going on.
    const rushing = chance.happens(0.5);
    const atMs = rushing ? chance.pick(rushesMs) + chance.between(0, 10_000) : chance.between(3_000, faultsUntilMs - 10_000);
    const drawn = chance.pick(howOf[kind] ?? [""]);
    const ofManager = kind.startsWith("manager") || (kind === "clockJump" && chance.happens(0.5));
    // Idempotency keys are kept for a day of the managers' wall clocks: one that jumps that far forgets them.
    const how = ofManager && drawn.endsWith("d") ? "+2h" : drawn;
    const who = chance.pick(ofManager ? managerIds : workers);
    const lastsMs = lengthOf[kind]?.(chance, heartbeatMs) ?? forMs;
    // What heals, heals: a machine that is put back is put back 20 s after that.
    return { atMs: Math.min(atMs, faultsUntilMs - 25_000 - lastsMs), kind, who, forMs: lastsMs, how };
  }).toSorted((a, b) => a.atMs - b.atMs);
}

const howOf: Readonly<Partial<Record<FaultKind, readonly string[]>>> = {
  agentKillAtStep: ["beforeJournal", "afterJournal", "betweenActions"],
  agentStop: ["runsGoOn", "runsStop"],
  oneWay: ["up", "down"],
  // The last: longer than a ledger keeps what it need not.
  clockJump: ["-3h", "+2h", "+1d", "+8d"],
  managerKillAtCommit: ["beforeSent", "sent", "done"],
  remove: ["comesBack", "staysAway"],
  diskFull: ["journal", "launch"],
  silence: ["", "released"],
};

/** Faults that need a length of their own to mean anything. */
const lengthOf: Readonly<Partial<Record<FaultKind, (chance: Chance, heartbeatMs: number) => number>>> = {
  // Until the fleet brake lets go by itself, and for some time after.
  silence: (chance, heartbeatMs) => chance.pick([10, 18, 26]) * heartbeatMs,
  // One of them: longer than a start is fresh, and shorter than a ping is waited for.
  oneWay: (chance, heartbeatMs) => chance.pick([1, 3, 5, 10]) * heartbeatMs,
  managerPause: (chance) => chance.between(1_000, 30_000),
  managerSuspend: (chance) => chance.between(1_000, 30_000),
  remove: (chance) => chance.between(5_000, 60_000),
  duplicateId: (chance) => chance.between(5_000, 60_000),
  databaseDown: (chance) => chance.between(500, 30_000),
  // For good: long before everything heals, so that what ran there is decided by the end.
  destroyed: () => 200_000,
};

/** The parameters of a client's run, which its process, the host and the database look at. */
export function paramsOf(plan: ClientPlan, result: string): Record<string, string> {
  return {
    who: plan.name,
    ms: String(plan.workMs),
    code: String(plan.code),
    exec: plan.exec ? "yes" : "no",
    deaf: plan.deaf ? "yes" : "no",
    output: String(plan.output),
    result,
    mark: plan.unstorable === "start" ? "unstorable" : "",
  };
}
