/** What really happened, seen from outside of both cores: every process that ran, how it ended, and which host slept when. */
export interface Witnessed {
  readonly attempt: string;
  readonly run: string;
  readonly worker: string;
  /** When its agent had it launched; its timeout counts from then. */
  readonly launchedMs: number;
  readonly fromMs: number;
  toMs: number | null;
  /** How long of that its host slept. */
  sleptMs: number;
  /** Null: killed, or its host went down. */
  code: number | null;
  endedBy: "itself" | "term" | "kill" | "signal" | "host" | null;
  /** Somebody, the agent or the watchdog, had sent TERM before it ended. */
  termed: boolean;
}

export class Witness {
  readonly processes: Witnessed[] = [];
  readonly violations: string[] = [];
  /** Hosts that were put back to an earlier state: what they had not told anybody is gone. */
  readonly putBack = new Set<string>();
  readonly #byAttempt = new Map<string, Witnessed>();
  readonly #byRun = new Map<string, Witnessed[]>();
  readonly #alive = new Map<string, Set<Witnessed>>();
  /** Whether this overlap of two attempts of a run is one that the rules allow; whoever allows it looks that it ends soon. */
  excused: (sleeper: Witnessed) => boolean = () => false;

  begins(
    launched: Pick<Witnessed, "attempt" | "run" | "launchedMs">,
    host: { readonly worker: string; readonly slots: number },
    atMs: number,
  ): Witnessed {
    const { attempt, run } = launched;
    const { worker } = host;
    const process: Witnessed = {
      ...launched,
      worker,
      fromMs: atMs,
      toMs: null,
      sleptMs: 0,
      code: null,
      endedBy: null,
      termed: false,
    };
    const again = this.#byAttempt.get(attempt);
    if (again)
      this.violated(
        `attempt ${attempt} of ${run} started twice: on ${again.worker} at ${again.fromMs} and on ${worker} at ${atMs}`,
      );
    const others = this.#byRun.get(run) ?? [];
    const other = others.find((each) => each.toMs === null);
    if (other && !this.excused(other) && !this.excused(process))
      this.violated(
        `run ${run} runs twice at once: ${other.attempt} on ${other.worker} since ${other.fromMs} and ${attempt} on ${worker} from ${atMs}`,
      );
    const here = this.#alive.get(worker) ?? new Set();
    this.#alive.set(worker, here.add(process));
    if (here.size > host.slots)
      this.violated(`${here.size} processes run on ${worker} at ${atMs}, which has ${host.slots} slots`);
    this.#byAttempt.set(attempt, process);
    this.#byRun.set(run, [...others, process]);
    this.processes.push(process);
    return process;
  }

  ends(process: Witnessed, how: { readonly code: number | null; readonly by: Witnessed["endedBy"] }, atMs: number): void {
    process.toMs = atMs;
    process.code = how.code;
    process.endedBy = how.by;
    this.#alive.get(process.worker)?.delete(process);
  }

  ofRun(run: string): readonly Witnessed[] {
    return this.#byRun.get(run) ?? [];
  }

  ofAttempt(attempt: string): Witnessed | undefined {
    return this.#byAttempt.get(attempt);
  }

  readonly violated = (sentence: string): void => {
    this.violations.push(sentence);
  };
}
