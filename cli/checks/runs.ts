/** Stuck runs, of which there must be none: not terminal, no live worker, no stated reason to wait. */
import type { Api } from "../api.ts";
import { isTerminal, runStates, type RunState } from "../../schema/run.ts";
import type { WorkerState } from "../../schema/worker.ts";
import { fail, pass, someOf, type Check } from "./finding.ts";
import { askingCheck } from "./unasked.ts";
import { runs, worker, type RunSummary } from "./views.ts";

const open = runStates.filter((state) => !isTerminal(state)).join(",");

/** Why the run is stuck, to follow its id; undefined when it is not. `of`: its worker's state; undefined: there is no such worker. */
export function stuckBecause({ state, reason, workerId }: RunSummary, of: WorkerState | undefined): string | undefined {
  switch (state) {
    case "queued":
    case "retrying":
      return reason === null ? `is ${state}, and nobody says what it waits for` : undefined;
    case "unreachable":
      return reason === null || of === "removed" || of === undefined
        ? `is unreachable on ${workerId ?? "no worker"}, which ${of === undefined ? "is not known" : `is ${of}`}, and nothing will end it`
        : undefined;
    case "stopping":
      // Asked of a worker that was lost already: the reason says until when it is waited for.
      return of === "lost" && reason !== null ? undefined : ownerless(state, workerId, of);
    case "starting":
    case "running":
      return ownerless(state, workerId, of);
    case "succeeded":
    case "failed":
    case "timedOut":
    case "stopped":
    case "lost":
      return undefined;
  }
}

function ownerless(state: RunState, workerId: string | null, of: WorkerState | undefined): string | undefined {
  return of === "online" || of === "draining" || of === "drained" || of === "unreachable"
    ? undefined
    : `is ${state} on ${workerId ?? "no worker"}, which ${of === undefined ? "is not known" : `is ${of}`}`;
}

export function runsCheck(api: (signal: AbortSignal) => Api): Check {
  return askingCheck("runs", "stuck runs were not looked for", api, async (asked) => {
    const { items, whole } = await asked.list(`/runs?state=${open}&limit=200`, runs);
    const states = new Map<string, WorkerState | undefined>();
    for (const { workerId } of items)
      if (workerId !== null && !states.has(workerId)) states.set(workerId, await stateOf(asked, workerId));
    const suspects = stuckIn(items, states);
    // Between two of these answers a run may have ended: who is stuck is so a second time.
    const stuck = suspects.length === 0 ? [] : await stillStuck(asked, suspects, states);
    const looked = `${whole ? "" : "the newest "}${items.length} runs that have not ended`;
    if (stuck.length === 0) return [pass("runs", items.length === 0 ? "every run has ended" : `none of ${looked} is stuck`)];
    return [
      fail(
        "runs",
        `${stuck.length} of ${looked} are stuck: ${someOf(stuck)}`,
        "This is a bug of Muster's: please report it with the manager's log. POST /runs/<id>/stop ends one, DELETE /workers/<id>?stop=true all of a worker.",
      ),
    ];
  });
}

type Workers = ReadonlyMap<string, WorkerState | undefined>;

function stuckIn(items: readonly RunSummary[], states: Workers): RunSummary[] {
  return items.filter((run) => stuckBecause(run, states.get(run.workerId ?? "")) !== undefined);
}

async function stillStuck(api: Api, suspects: readonly RunSummary[], before: Workers): Promise<string[]> {
  const states = new Map(before);
  const found: string[] = [];
  for (const suspect of suspects.slice(0, 200)) {
    const now = await api.get(`/runs/${suspect.id}`, runs.shape.items.element);
    if (now.workerId !== null && !states.has(now.workerId)) states.set(now.workerId, await stateOf(api, now.workerId));
    const why = stuckBecause(now, states.get(now.workerId ?? ""));
    if (why !== undefined) found.push(`run ${now.id} ${why}`);
  }
  return found;
}

async function stateOf(api: Api, workerId: string): Promise<WorkerState | undefined> {
  const found = await api.get(`/workers/${workerId}`, worker.partial(), [200, 404]);
  return found.state;
}
