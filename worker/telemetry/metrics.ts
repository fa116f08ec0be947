/** The worker's metrics. Loaded only where `MUSTER_METRICS_PORT` is set: the library behind it costs memory. */
import { expose, type Exposition } from "../../schema/kit/metrics/exposition.ts";
import { reading, type Family, type Put } from "../../schema/kit/metrics/families.ts";
import { uplinkKinds } from "../../schema/topics.ts";
import type { AgentView } from "../agent/types.ts";
import type { Link } from "../link.ts";
import type { LogShipper } from "../logs/shipper.ts";
import type { Shell } from "../shell.ts";
import type { AgentCounts } from "./counts.ts";

export interface WorkerMetricsParts {
  readonly counts: Pick<AgentCounts, "families">;
  readonly view: () => AgentView;
  readonly link: Pick<Link, "connected" | "connection" | "figures">;
  readonly shell: Pick<Shell, "counts" | "journalFull">;
  readonly logs: Pick<LogShipper, "spoolBytes" | "shippedBytes">;
  readonly slots: number;
  readonly version: string;
}

const attemptStates = ["accepted", "launching", "running", "stopping"];

export function workerFamilies(parts: WorkerMetricsParts): readonly Family[] {
  const { view, link, shell, logs } = parts;
  const gauge = (name: string, help: string, read: (put: Put) => void, labels: readonly string[] = []): Family =>
    reading({ name, help, type: "gauge", labels }, read);
  const counter = (name: string, help: string, read: (put: Put) => void, labels: readonly string[] = []): Family =>
    reading({ name, help, type: "counter", labels }, read);
  return [
    gauge("muster_worker_attempts", "Attempts that have not ended, by state.", (put) => putAttempts(view(), put), ["state"]),
    gauge("muster_worker_slots", "Slots that this worker offers.", (put) => put(parts.slots)),
    gauge("muster_worker_slots_free", "Slots that no attempt takes.", (put) => put(view().free.slots)),
    gauge("muster_worker_draining", "1 while it takes no new starts.", (put) => put(view().draining ? 1 : 0)),
    ...parts.counts.families,
    gauge("muster_worker_connected", "1 while it is connected to the broker.", (put) => put(link.connected ? 1 : 0)),
    gauge("muster_worker_synced", "1 while a manager has answered on this connection.", (put) => put(view().synced ? 1 : 0)),
    counter("muster_worker_connection_attempts_total", "Times it tried to connect to the broker.", (put) => put(link.connection)),
    counter(
      "muster_worker_messages_total",
      "MQTT messages: up, taken by the broker; down, as they came.",
      (put) => {
        for (const kind of uplinkKinds) put(link.figures.sent[kind], "up", kind);
        put(link.figures.received, "down", "commands");
      },
      ["direction", "kind"],
    ),
    counter(
      "muster_worker_messages_dropped_total",
      "Messages, and items of them, that went no further; what matters comes again.",
      (put) => {
        put(link.figures.notSent, "up", "notTaken");
        for (const [what, count] of Object.entries(shell.counts)) put(count, "down", wordOf(what));
      },
      ["direction", "why"],
    ),
    gauge("muster_worker_unacked_reports", "Reports that no manager has acknowledged yet.", (put) => put(view().unackedReports)),
    gauge("muster_worker_spool_bytes", "Bytes of output that wait on this host's disk to be shipped.", (put) =>
      put(logs.spoolBytes),
    ),
    counter("muster_worker_log_bytes_shipped_total", "Bytes of output that a manager has acknowledged.", (put) =>
      put(logs.shippedBytes),
    ),
    gauge("muster_worker_journal_full", "1 while the journal cannot be written: starts are passed over.", (put) =>
      put(shell.journalFull === null ? 0 : 1),
    ),
    gauge("muster_build_info", "Always 1; what runs, in its labels.", (put) => put(1, "worker", parts.version), [
      "part",
      "version",
    ]),
  ];
}

export function exposeWorker(parts: WorkerMetricsParts): Exposition {
  return expose(workerFamilies(parts));
}

function putAttempts(view: AgentView, put: Put): void {
  for (const state of attemptStates) put(view.live.filter((attempt) => attempt.state === state).length, state);
}

/** The shell's own words ("dropped: inbox full") as a label's value (`inboxFull`). */
function wordOf(what: string): string {
  return what.replace(/^dropped: /, "").replaceAll(/[^A-Za-z0-9]+(.)/g, (_, letter: string) => letter.toUpperCase());
}
