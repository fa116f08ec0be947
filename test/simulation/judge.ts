import type { Change } from "../../manager/control/changes.ts";
import type { Store } from "../../manager/store/store.ts";
import type { End } from "../../schema/end.ts";
import { isTerminal } from "../../schema/run.ts";
import { timeoutSeconds, type Asked, type Clients } from "./clients.ts";
import type { Witness, Witnessed } from "./witness.ts";

/** Holds what became durable against what clients asked for and what the witness saw. */
export class Judge {
  readonly #clients: Clients;
  readonly #witness: Witness;
  /** Runs of which a `runEnded` was written, and the terminal state of each. */
  readonly #ended = new Set<string>();
  readonly terminal = new Map<string, string>();
  trace = 17;

  constructor(clients: Clients, witness: Witness) {
    this.#clients = clients;
    this.#witness = witness;
  }

  /** Every durable change passes here: what is terminal never changes, and nothing ends twice. */
  committed(changes: readonly Change[]): void {
    for (const change of changes) {
      this.trace = hash(this.trace, JSON.stringify(change));
      if (change.op === "insertEvent" && change.row.kind === "runEnded") {
        const runId = String(change.row.runId);
        if (this.#ended.has(runId)) this.#witness.violated(`run ${runId} ended twice`);
        this.#ended.add(runId);
      }
      if (change.op === "insertAttempt" && this.#clients.asked.get(change.row.runId)?.stopAnswered)
        this.#witness.violated(`run ${change.row.runId} was to be stopped, and ${change.row.id} was placed all the same`);
      if (change.op !== "updateRun" && change.op !== "insertRun") continue;
      const [id, state] = change.op === "insertRun" ? [change.row.id, change.row.state] : [change.id, change.set.state];
      if (state === undefined) continue;
      const before = this.terminal.get(id);
      if (before !== undefined && before !== state) this.#witness.violated(`run ${id} was ${before} and became ${state}`);
      if (isTerminal(state)) this.terminal.set(id, state);
    }
  }

  allEnded(): boolean {
    return [...this.#clients.asked.keys()].every((id) => this.terminal.has(id));
  }

  /** When all is over: every run that was acknowledged is there, is terminal, and says the truth. */
  async judge(store: Store): Promise<void> {
    for (const id of this.#clients.acknowledged)
      if (!(await store.run(id))) this.#witness.violated(`run ${id} was acknowledged and is gone`);
    for (const [id, asked] of this.#clients.asked) {
      const found = await store.run(id);
      if (!found) continue;
      const { run, attempts } = found;
      if (!isTerminal(run.state)) {
        this.#witness.violated(
          `run ${id} is stuck ${run.state}: attempts ${attempts.map((a) => `${a.id} on ${a.workerId} ${a.state} ${JSON.stringify(a.end)}`).join("; ")}`,
        );
        continue;
      }
      if (run.state === "succeeded" && asked.code !== 0)
        this.#witness.violated(`run ${id} succeeded, but its script exits ${asked.code}`);
      if (run.state === "stopped" && !asked.stopped) this.#witness.violated(`run ${id} is stopped and nobody asked for it`);
      // One that is deaf to TERM may come to its own end, with a result, and count as stopped all the same.
      const written = this.#witness.ofRun(id).some(({ endedBy }) => endedBy === "itself") ? JSON.stringify(id) : null;
      if (run.end?.how === "exited" ? run.result !== written : run.result !== null && run.result !== written)
        this.#witness.violated(`run ${id} with ${JSON.stringify(run.end)} has the result ${run.result}`);
      for (const attempt of attempts) {
        const why = untruth(attempt.end, this.#witness.ofAttempt(attempt.id), asked);
        if (why !== undefined) this.#witness.violated(`attempt ${attempt.id} ended ${JSON.stringify(attempt.end)}, but ${why}`);
      }
    }
  }
}

/** What an end says that did not happen; undefined when it is true. `lost` says nothing. */
function untruth(end: End | null, process: Witnessed | undefined, asked: Asked): string | undefined {
  switch (end?.how) {
    case "refused":
      return process && `it ran from ${process.fromMs}`;
    case "failedToStart":
      if (asked.exec) return "its program could be executed";
      return process && `it ran from ${process.fromMs}`;
    case "exited":
      return process?.endedBy === "itself" && process.code === end.code ? undefined : `it was ended by ${process?.endedBy}`;
    case "signalled":
      if (!asked.signalled) return "nobody sent it a signal";
      return process?.endedBy === "signal" ? undefined : `it was ended by ${process?.endedBy}`;
    case "timedOut":
      if (!process?.termed && process?.endedBy !== "kill") return "nobody ended it";
      return (process.toMs ?? 0) - process.launchedMs >= timeoutSeconds * 1_000 ? undefined : "its time was not up";
    case "stopped":
      return process && !process.termed && process.endedBy !== "kill" ? `it was ended by ${process.endedBy}` : undefined;
    case "lost":
    case undefined:
      return undefined;
  }
}

function hash(seed: number, text: string): number {
  let h = seed;
  for (let i = 0; i < text.length; i += 1) h = (Math.imul(h, 31) + text.charCodeAt(i)) | 0;
  return h;
}
