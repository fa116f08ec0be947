/** What is counted of the agent's steps. */
import type { End } from "../../schema/end.ts";
import { Counter, type Family } from "../../schema/kit/metrics/families.ts";
import type { AgentInput, AgentStep } from "../agent/types.ts";

export interface AgentCounts {
  readonly families: readonly Family[];
  /** Counts one step and the input that it came of, and returns the step. */
  readonly stepped: (input: AgentInput, step: AgentStep) => AgentStep;
}

const ends: readonly End["how"][] = ["exited", "signalled", "timedOut", "stopped", "refused", "failedToStart", "lost"];

export function countAgent(): AgentCounts {
  const started = new Counter({
    name: "muster_worker_processes_started_total",
    help: "Processes of attempts that were started.",
  });
  const ended = new Counter({ name: "muster_worker_attempts_ended_total", help: "Attempts that ended here, by how." }, ["how"]);
  const connected = new Counter({ name: "muster_worker_connections_total", help: "Connections to the broker that came about." });
  const starts = started.cell();
  const connections = connected.cell();
  const byHow = new Map<string, { add(): void }>(ends.map((how) => [how, ended.cell(how)]));
  return {
    families: [started, ended, connected],
    stepped(input, step) {
      if (input.kind === "started") starts.add();
      if (input.kind === "connected") connections.add();
      // The ledger gets an end once, in the step in which it is decided.
      for (const write of step.journal)
        if (write.write === "entry" && write.entry.state === "ended") byHow.get(write.entry.end?.how ?? "")?.add();
      return step;
    },
  };
}
