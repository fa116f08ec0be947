/** What really happened, seen from outside of both cores: every process that ran, and how it ended. */
export interface Witnessed {
  readonly attempt: string;
  readonly run: string;
  readonly worker: string;
  readonly fromMs: number;
  toMs: number | null;
  /** Null: killed, or its host went down. */
  code: number | null;
}

export class Witness {
  readonly processes: Witnessed[] = [];
  readonly violations: string[] = [];
  readonly #byAttempt = new Map<string, Witnessed>();
  readonly #byRun = new Map<string, Witnessed[]>();

  begins(attempt: string, run: string, worker: string, atMs: number): Witnessed {
    const process: Witnessed = { attempt, run, worker, fromMs: atMs, toMs: null, code: null };
    const again = this.#byAttempt.get(attempt);
    if (again)
      this.violated(
        `attempt ${attempt} of ${run} started twice: on ${again.worker} at ${again.fromMs} and on ${worker} at ${atMs}`,
      );
    const others = this.#byRun.get(run) ?? [];
    const alive = others.find((other) => other.toMs === null);
    if (alive)
      this.violated(
        `run ${run} runs twice at once: ${alive.attempt} on ${alive.worker} since ${alive.fromMs} and ${attempt} on ${worker} from ${atMs}`,
      );
    this.#byAttempt.set(attempt, process);
    this.#byRun.set(run, [...others, process]);
    this.processes.push(process);
    return process;
  }

  ofRun(run: string): readonly Witnessed[] {
    return this.#byRun.get(run) ?? [];
  }

  ofAttempt(attempt: string): Witnessed | undefined {
    return this.#byAttempt.get(attempt);
  }

  violated(sentence: string): void {
    this.violations.push(sentence);
  }
}
