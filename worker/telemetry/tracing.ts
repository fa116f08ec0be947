/**
 * The spans of a worker. What a span needs beyond the moment in which it is made lies in the journal: the context of a start
 * in its order, and so in each of its reports. So an agent that takes a process up again ends the span that its predecessor
 * told the process of.
 */
import type { AgentStep } from "../agent/types.ts";
import type { WorkerConfig } from "../config.ts";
import type { End } from "../../schema/end.ts";
import { processClock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import { openTracing, type OpenSpan, type Tracing } from "../../schema/kit/tracing.ts";
import { messageAttributes, processedName, publishedName, type Wire } from "../../schema/kit/tracing/messages.ts";
import { tracingLimits } from "../../schema/limits/tracing.ts";
import type { Commands, DownItem, Report } from "../../schema/messages.ts";
import type { UplinkKind } from "../../schema/topics.ts";
import { formatTraceparent, isSampled, parseTraceparent, processSpanId } from "../../schema/trace.ts";

/** Where the worker is on the wire. */
export interface WorkerWire extends Wire {
  readonly pool: string;
  readonly workerId: string;
}

export interface ShellTracing {
  /** Commands as they shall be obeyed: what belongs to a sampled run goes on below its own consumer span. */
  received(message: Commands): Commands;
  /** The steps that these commands and other news made are in the journal; `begunMs`: when it was told (process clock). */
  written(steps: readonly AgentStep[], begunMs: number): void;
}

export interface Publishing {
  readonly message: object;
  readonly published: (outcome: "taken" | "lost") => void;
}

export interface LinkTracing {
  /** Reports with the context of their publish span; undefined for a message that belongs to no sampled run. */
  publishing(kind: UplinkKind, message: object): Publishing | undefined;
}

export interface WorkerTracing extends ShellTracing, LinkTracing {
  close(): Promise<void>;
}

/** What traces a worker; undefined where no endpoint is set. */
export async function traceWorker(config: WorkerConfig, log: Log): Promise<WorkerTracing | undefined> {
  const tracing = await openTracing(config.tracing, { clock: processClock, log });
  if (!tracing) return undefined;
  const { topicPrefix: prefix, workerId, pool } = config;
  const wire = { prefix, clientId: workerId, pool, workerId };
  return { ...traceShell(tracing, wire), ...traceLink(tracing, wire), close: () => tracing.close() };
}

type Traced = DownItem & { readonly kind: "start" | "stop" | "signal" };

export function traceShell(tracing: Tracing, wire: WorkerWire): ShellTracing {
  let open: { readonly span: OpenSpan; readonly attempt: string }[] = [];
  const receive = (item: Traced): DownItem => {
    const span = tracing.open({
      name: processedName(wire, "commands"),
      kind: "consumer",
      parent: item.trace ?? null,
      remote: true,
      startMs: tracing.at(),
      attributes: {
        ...messageAttributes(wire, { operation: "process", kind: "commands", pool: wire.pool, workerId: wire.workerId }),
        "muster.command": item.kind,
        "muster.attempt.id": item.attempt,
        ...(item.kind === "start"
          ? {
              "muster.run.id": item.run,
              "muster.task.id": item.task,
              "muster.attempt.number": item.number,
              "muster.driver": item.driver,
            }
          : {}),
      },
    });
    open.push({ span, attempt: item.attempt });
    return item.kind === "start" ? { ...item, trace: span.traceparent, env: envBelow(span, item) } : item;
  };
  return {
    received: (message) => ({
      ...message,
      items: message.items.map((item) => (isTraced(item) && isSampled(item.trace) ? receive(item) : item)),
    }),
    written(steps, begunMs) {
      const reports = newReports(steps);
      for (const { span, attempt } of open) {
        const said = reports.filter((report) => report.attempt === attempt).map((report) => report.end?.how ?? report.kind);
        const endMs = tracing.at();
        if (said.length > 0) tracing.record({ ...journalSpan, parent: span.traceparent, startMs: tracing.at(begunMs), endMs });
        // Nothing to say: it was known already, or passed over.
        span.end({ endMs, attributes: { "muster.outcome": said.length > 0 ? said : ["nothing new"] } });
      }
      open = [];
      for (const report of reports) if (report.kind === "end") traceProcess(tracing, report);
    },
  };
}

const journalSpan = { name: "journal", kind: "internal" } as const;

function isTraced(item: DownItem): item is Traced {
  return item.kind === "start" || item.kind === "stop" || item.kind === "signal";
}

/** The program's own spans stand below that of its process, which is made when the process has ended. */
function envBelow(
  span: OpenSpan,
  item: { readonly attempt: string; readonly env: Readonly<Record<string, string>> },
): Record<string, string> {
  const { traceId = "", sampled = false } = parseTraceparent(span.traceparent) ?? {};
  return { ...item.env, TRACEPARENT: formatTraceparent({ traceId, spanId: processSpanId(item.attempt), sampled }) };
}

type NewReport = Omit<Report, "seq">;

function newReports(steps: readonly AgentStep[]): NewReport[] {
  const found: NewReport[] = [];
  for (const step of steps)
    for (const write of step.journal)
      if (write.write === "report")
        found.push({ ...(JSON.parse(write.report.body) as NewReport), attempt: write.report.attempt });
  return found;
}

/** One for each attempt: only the report that first says its end carries a context (`reports.ts` of the agent). */
function traceProcess(tracing: Tracing, report: NewReport): void {
  const { trace, end, startedAt } = report;
  if (!end || !isSampled(trace)) return;
  // A start that was refused, or stopped before it was launched, had no process.
  if (startedAt === undefined && end.how !== "failedToStart") return;
  const error = errorOf(end);
  tracing.record({
    name: "execute",
    kind: "internal",
    parent: trace,
    spanId: processSpanId(report.attempt),
    startMs: startedAt ?? report.at,
    endMs: report.at,
    attributes: {
      "muster.attempt.id": report.attempt,
      "muster.end.how": end.how,
      ...(report.pid === undefined ? {} : { "process.pid": report.pid }),
      ...(end.how === "exited" ? { "process.exit.code": end.code } : {}),
      ...("why" in end ? { "muster.end.why": end.why.slice(0, tracingLimits.textChars) } : {}),
      ...(end.how === "stopped" ? { "muster.end.by": end.by } : {}),
      ...(end.how === "signalled" ? { "muster.end.signal": end.signal } : {}),
    },
    ...(error === undefined ? {} : { error }),
  });
}

/** A process that somebody stopped did what it was told. */
function errorOf(end: End): string | undefined {
  if (end.how === "stopped" || (end.how === "exited" && end.code === 0)) return undefined;
  return end.how;
}

export function traceLink(tracing: Tracing, wire: WorkerWire): LinkTracing {
  return {
    publishing(kind, message) {
      if (kind !== "reports") return undefined;
      const { items } = message as { readonly items: readonly Report[] };
      const spans = new Map<string, OpenSpan>();
      for (const { trace } of items) {
        if (!isSampled(trace) || spans.has(trace)) continue;
        const about = items.filter((item) => item.trace === trace);
        spans.set(trace, publishSpan(tracing, wire, trace, about));
      }
      if (spans.size === 0) return undefined;
      return {
        message: {
          ...message,
          items: items.map((item) => {
            const span = item.trace === undefined ? undefined : spans.get(item.trace);
            return span ? { ...item, trace: span.traceparent } : item;
          }),
        },
        published(outcome) {
          const endMs = tracing.at();
          for (const span of spans.values()) span.end({ endMs, ...(outcome === "lost" ? { error: "not_published" } : {}) });
        },
      };
    },
  };
}

function publishSpan(tracing: Tracing, wire: WorkerWire, parent: string, about: readonly Report[]): OpenSpan {
  return tracing.open({
    name: publishedName(wire, "reports"),
    kind: "producer",
    parent,
    startMs: tracing.at(),
    attributes: {
      ...messageAttributes(wire, { operation: "publish", kind: "reports", pool: wire.pool, workerId: wire.workerId }),
      "muster.attempt.id": about[0]?.attempt ?? "",
      "muster.reports": about.map((report) => report.kind).slice(0, tracingLimits.namedOnSpan),
    },
  });
}
