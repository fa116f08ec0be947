/** The crash matrix: kill -9 of manager, worker, broker and database at each of fourteen steps of a start's life. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { failSteps, type FailStepName } from "../../../schema/kit/failpoint.ts";
import { until } from "../../kit/until.ts";
import type { Violation } from "../checker.ts";
import { Failpoints, type Armed } from "../failpoints.ts";
import type { Findings, Scenario, Size } from "../scenario.ts";
import { System, systemMissing } from "../system.ts";

const victims = ["manager", "worker", "broker", "database"] as const;
type VictimKind = (typeof victims)[number];

const steps = Object.keys(failSteps) as FailStepName[];
/** Steps that a worker comes to; a manager comes to the others. */
const workerSteps: ReadonlySet<FailStepName> = new Set(["s06", "s07", "s08", "s09", "s10", "s11", "s14"]);
/** Steps of an end: armed once the run is known to run, so that it is the end that comes to them. */
const endSteps: ReadonlySet<FailStepName> = new Set(["s10", "s11", "s12", "s13", "s14"]);

interface Cell {
  readonly step: FailStepName;
  readonly victim: VictimKind;
}

/** A round of a cell: its name is the tag of its starts. */
interface Round extends Cell {
  readonly number: number;
  readonly tag: string;
}

const longEvery = 9;
const stuckAfterMs = 60_000;

/** Of the small form: each victim, both ends of the wire, both halves of a start's life. */
const sample: readonly Cell[] = [
  { step: "s02", victim: "manager" },
  { step: "s03", victim: "database" },
  { step: "s05", victim: "broker" },
  { step: "s08", victim: "worker" },
  { step: "s12", victim: "manager" },
  { step: "s14", victim: "worker" },
];

export const matrix: Scenario = {
  name: "matrix",
  about:
    "kill -9 of manager, worker, broker and database at each of 14 steps of a start's life: nothing is lost, started twice, untrue or stuck",
  missing: systemMissing,
  play: playMatrix,
};

async function playMatrix(size: Size, say: (line: string) => void): Promise<Findings> {
  const begun = performance.now();
  const cells = size.kind === "small" ? sample : steps.flatMap((step) => victims.map((victim) => ({ step, victim })));
  const rounds = roundsOf(cells, size.kind === "small" ? 1 : size.rounds);
  // Two systems side by side: a round waits more than it works.
  // All victims of a step in one lane, one after the other: who is started anew reconnects without the pauses of the last round.
  const lane = ({ step, number }: Round): number => (size.kind === "small" ? 0 : (steps.indexOf(step) + number) % 2);
  const halves = [0, 1].map((n) => rounds.filter((round) => lane(round) === n)).filter((half) => half.length > 0);
  // Each to its end, so that a lane that fails leaves nothing of the other behind.
  const played = await Promise.allSettled(halves.map((half, n) => Lane.play(half, n === 0 ? 1 : 2, say)));
  const lanes = played.map((lane) => {
    if (lane.status === "rejected") throw lane.reason;
    return lane.value;
  });
  const violations = lanes.flatMap((lane) => lane.violations);
  if (size.kind === "full") for (const line of table(lanes)) say(line);
  const count = (kind: Violation["kind"]): number => violations.filter((one) => one.kind === kind).length;
  const sum = (of: (lane: Played) => number): number => lanes.reduce((total, lane) => total + of(lane), 0);
  return {
    figures: {
      cells: cells.length,
      rounds: rounds.length,
      failpointsHit: sum((lane) => lane.hits),
      runs: sum((lane) => lane.runs),
      processes: sum((lane) => lane.processes),
      requestsAnswered: sum((lane) => lane.answered),
      requestsUnanswered: sum((lane) => lane.unanswered),
      lost: count("lost"),
      startedTwice: count("startedTwice"),
      wrongEnd: count("wrongEnd"),
      stuckAfter60s: count("stuck"),
      other: violations.filter(({ kind }) => !["lost", "startedTwice", "wrongEnd", "stuck"].includes(kind)).length,
      longestFromHealToEndMs: Math.max(...lanes.map((lane) => lane.longestMs)),
      tookMs: Math.round(performance.now() - begun),
    },
    violations: violations.map(({ kind, sentence, cell }) => `${cell}: ${kind}: ${sentence}`),
  };
}

function roundsOf(cells: readonly Cell[], times: number): Round[] {
  return Array.from({ length: times }, (_, number) =>
    cells.map((cell) => ({ ...cell, number, tag: `${cell.step}-${cell.victim}-${number}` })),
  ).flat();
}

type Found = Omit<Violation, "kind"> & { readonly kind: Violation["kind"] | "notHit"; readonly cell: string };

interface Played {
  readonly rounds: readonly Round[];
  readonly violations: readonly Found[];
  readonly hits: number;
  readonly runs: number;
  readonly processes: number;
  readonly answered: number;
  readonly unanswered: number;
  readonly longestMs: number;
}

/** One system that is kept for many rounds. */
class Lane {
  readonly #system: System;
  readonly #say: (line: string) => void;
  readonly #managers: Failpoints;
  readonly #workers: Failpoints;
  readonly #cells = new Map<string, string>();
  /** By cell, a worker that runs one of its runs. */
  readonly #placed = new Map<string, string>();
  readonly #found: Found[] = [];
  #task = "";
  #long: { readonly runId: string; readonly tag: string } | undefined;
  #hits = 0;
  #longestMs = 0;

  private constructor(system: System, failpoints: readonly [Failpoints, Failpoints], say: (line: string) => void) {
    this.#system = system;
    [this.#managers, this.#workers] = failpoints;
    this.#say = say;
  }

  /** With so many managers, and as many workers. */
  static async play(rounds: readonly Round[], each: number, say: (line: string) => void): Promise<Played> {
    const [managers, workers] = [["m1", "m2"].slice(0, each), ["a", "b"].slice(0, each)];
    await using system = await System.start({ managers, workers, failpoints: true });
    const failpoints = (name: "managers" | "workers"): Failpoints => new Failpoints(system.failpoints(name));
    const lane = new Lane(system, [failpoints("managers"), failpoints("workers")], say);
    try {
      return await lane.#play(rounds);
    } catch (error) {
      say(`it could not go on; what was recorded is kept in ${system.keep()}`);
      throw error;
    }
  }

  async #play(rounds: readonly Round[]): Promise<Played> {
    this.#task = await this.#system.task({
      name: "matrix",
      params: { code: "0", gate: "" },
      script: `echo "begins"; while [ ! -e "$PARAM_gate" ]; do sleep 0.05; done; echo "ends with $PARAM_code"; exit "$PARAM_code"`,
    });
    for (const [n, round] of rounds.entries()) {
      if (n % longEvery === 0) await this.#turnLong(`long-${n}`);
      const began = performance.now();
      await this.#round(round);
      this.#say(`${round.tag.padEnd(18)} ${String(Math.round(performance.now() - began)).padStart(6)} ms`);
    }
    await this.#turnLong(undefined);
    const { violations, figures } = await this.#system.judge();
    for (const one of violations) this.#found.push({ ...one, cell: this.#cells.get(one.runId ?? "") ?? "all" });
    if (this.#found.length > 0) this.#say(`what was recorded is kept in ${this.#system.keep()}`);
    return {
      rounds,
      violations: this.#found,
      hits: this.#hits,
      runs: figures.runs,
      processes: figures.processes,
      answered: figures.acknowledged + figures.notTaken + figures.outcomeUnknown,
      unanswered: figures.unanswered,
      longestMs: Math.round(this.#longestMs),
    };
  }

  async #round(round: Round): Promise<void> {
    const { step, victim, number, tag } = round;
    const gate = join(this.#system.folder, `gate-${tag}`);
    // Half of the runs may end whenever they want, the others only once all is well again.
    const opensEarly = (number & 2) === 0;
    const isEnd = endSteps.has(step);
    const points = workerSteps.has(step) ? this.#workers : this.#managers;
    let armed: Armed | undefined;
    if (!isEnd) armed = points.arm(step);
    if (!isEnd && opensEarly) writeFileSync(gate, "");
    const starting = Promise.all(["0", "3"].map((code) => this.#start(`${tag}-${code}`, { code, gate }, tag)));
    if (isEnd) {
      for (const id of await starting) await this.#running(id, tag);
      armed = points.arm(step);
      writeFileSync(gate, "");
    }
    const pid = await armed?.hit();
    if (pid === undefined) this.#notHit(round);
    else this.#hits += 1;
    // A shim takes a moment: in some rounds the victim dies before the process is there, in others when it is.
    if (step === "s08" && (number & 1) === 1) await this.#witnessed(tag);
    await this.#strike(await this.#named(victim, pid, tag), () => armed?.letGo(), number);
    this.#system.healed();
    const healedMs = performance.now();
    if (!isEnd && !opensEarly) {
      await starting;
      writeFileSync(gate, "");
    }
    for (const id of await starting) await this.#ended(id, tag);
    this.#longestMs = Math.max(this.#longestMs, performance.now() - healedMs);
  }

  async #start(tag: string, params: Readonly<Record<string, string>>, cell: string): Promise<string> {
    const id = await this.#system.client.startSurely({ taskId: this.#task, tag, key: tag, params });
    this.#cells.set(id, cell);
    return id;
  }

  /** The victim dies while somebody stands at the step, and comes back; the other goes on before, or after. */
  async #strike(victim: string, letGo: () => void, number: number): Promise<void> {
    await this.#system.kill(victim);
    if ((number & 1) === 0) letGo();
    await this.#system.restart(victim);
    letGo();
  }

  /** The one that stands at the step; else the manager that leads, or the worker that has a run of this round. */
  async #named(victim: VictimKind, pid: number | undefined, cell: string): Promise<string> {
    const standing = this.#system.nameOf(pid);
    if (victim === "manager") return this.#isManager(standing) ? standing : await this.#system.managers.leader();
    if (victim !== "worker") return victim;
    if (standing !== undefined && !this.#isManager(standing)) return standing;
    return this.#placed.get(cell) ?? "a";
  }

  #isManager(name: string | undefined): name is string {
    return name !== undefined && name.startsWith("m");
  }

  async #witnessed(tag: string): Promise<void> {
    const mine = (): boolean =>
      this.#system.managers.witnessLines().some((line) => this.#cells.get(line.split(" ")[0] ?? "") === tag);
    await until(`a process of ${tag} to have begun`, mine);
  }

  async #running(id: string, cell: string): Promise<void> {
    const run = await until(
      `run ${id} to run`,
      async () => {
        const seen = await this.#system.client.read(id);
        return seen?.state === "running" ? seen : undefined;
      },
      stuckAfterMs,
    );
    if (run.workerId !== null) this.#placed.set(cell, run.workerId);
  }

  async #ended(runId: string, cell: string): Promise<void> {
    const run = await this.#system.ended(runId, stuckAfterMs);
    if (!run) this.#found.push({ kind: "stuck", runId, cell, sentence: `run ${runId} has not ended within 60 s` });
  }

  /** A run in the background lives through several rounds: the one there is may end, and another begins. */
  async #turnLong(tag: string | undefined): Promise<void> {
    const gateOf = (one: string): string => join(this.#system.folder, `gate-${one}`);
    if (this.#long) {
      writeFileSync(gateOf(this.#long.tag), "");
      await this.#ended(this.#long.runId, this.#long.tag);
    }
    this.#long = undefined;
    if (tag === undefined) return;
    this.#long = { tag, runId: await this.#start(tag, { code: "0", gate: gateOf(tag) }, tag) };
    await this.#running(this.#long.runId, tag);
  }

  #notHit({ tag, step }: Round): void {
    this.#found.push({ kind: "notHit", runId: null, cell: tag, sentence: `nobody came to ${step}: the round showed nothing` });
  }
}

/** A line for each step, a column for each victim: `ok`, or the number of violations. */
function table(lanes: readonly Played[]): string[] {
  const cellOf = (step: string, victim: string): string => {
    const mark = `${step}-${victim}-`;
    const played = lanes.flatMap((lane) => lane.rounds.filter(({ tag }) => tag.startsWith(mark))).length;
    const found = lanes.flatMap((lane) => lane.violations.filter(({ cell }) => cell.startsWith(mark))).length;
    return played === 0 ? "-" : found === 0 ? `ok ${played}` : `${found} BAD`;
  };
  const row = (cells: readonly string[]): string => cells.map((cell) => cell.padEnd(10)).join("");
  return [
    row(["step", ...victims]),
    ...steps.map((step) => `${row([step, ...victims.map((victim) => cellOf(step, victim))])}${failSteps[step].sentence}`),
  ];
}
