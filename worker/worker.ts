/** A worker, put together: folder, journal, processes, logs, core and link. Everything it starts, close() stops, in the reverse order. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { actions, listener } from "./act.ts";
import { createAgent, nextDue, step, viewOf } from "./agent/agent.ts";
import type { AgentInput, AgentOptions, AgentView } from "./agent/types.ts";
import type { BodiesDeps } from "./bodies.ts";
import type { WorkerConfig } from "./config.ts";
import type { AgentState } from "./agent/state.ts";
import { openJournal, type Journal } from "./journal.ts";
import type { Link } from "./link.ts";
import { measureLoad } from "./load.ts";
import { lockFolder } from "./lock.ts";
import { openProcessHost } from "./process/open.ts";
import { readStat } from "./process/proc.ts";
import { recover } from "./recover.ts";
import { setUp } from "./setup.ts";
import { Shell } from "./shell.ts";
import { keepStateFile, type AgentReport } from "./state-file.ts";
import { countAgent } from "./telemetry/counts.ts";
import { startMetrics } from "./telemetry/start.ts";
import { traceWorker, type WorkerTracing } from "./telemetry/tracing.ts";
import { makeLink, makeShipper } from "./wire.ts";
import { bootClock, type Clock } from "../schema/kit/clock.ts";
import type { Log } from "../schema/kit/log.ts";
import { version } from "../schema/kit/version.ts";

export interface Worker {
  readonly view: () => AgentView;
  /** Gives the core an input and resolves once it is handled. */
  readonly handled: (input: AgentInput) => Promise<void>;
  /** Resolves with the error when a loop that must not end has ended: a bug, and the process should go. */
  readonly failed: Promise<unknown>;
  /** Resolves, with how long to wait before, when the manager wants a worker with a new journal. */
  readonly renew: Promise<{ readonly afterMs: number }>;
  /** Says goodbye to the broker and lets everything go; processes go on. */
  close(): Promise<void>;
}

/** Where the agent keeps what is its own. */
export function agentFolder(config: Pick<WorkerConfig, "dataDir">): string {
  return join(config.dataDir, "worker");
}

/** Starts a worker. Rejects with a sentence when something it needs is not there: its folder, its journal, a driver. */
export async function runWorker(config: WorkerConfig, log: Log): Promise<Worker> {
  await using parts = new AsyncDisposableStack();
  // First, so that it goes last: the folder's lock is free by the time the last spans are exported.
  const tracing = await traceWorker(config, log);
  parts.defer(async () => await tracing?.close());
  // Makes Node's pool of threads, which else comes with the first attempt: on a host that is out of processes then, Node aborts.
  await stat(config.dataDir);
  const worker = await assemble({ config, log, parts, tracing });
  const kept = parts.move();
  return { ...worker, close: () => kept.disposeAsync() };
}

interface Ground {
  readonly config: WorkerConfig;
  readonly log: Log;
  readonly parts: AsyncDisposableStack;
  readonly tracing: WorkerTracing | undefined;
}

async function assemble({ config, log, parts, tracing }: Ground): Promise<Omit<Worker, "close">> {
  const { folder, clock, journal } = openGround(config, log, parts);
  const renewal = Promise.withResolvers<{ readonly afterMs: number }>();
  let renewing = false;
  // Done when nothing writes any more: between the loop's end and the journal's closing.
  parts.defer(() => {
    if (renewing) renewJournal(journal, agent);
  });
  const { options: fixed, drivers, interpreters } = await setUp(config, journal.meta, log);
  const { epoch, facts } = fixed;
  const going = new AbortController();
  const contextOf = (attempt: string): string | undefined => tracing && agent.live.get(attempt)?.entry.order?.trace;
  const bodies = bodiesOf(config, clock, { connected: () => link.connected, contextOf });
  const gate = inputGate((input) => shell.put(input));
  const ticketOf = (attempt: string): string | undefined => agent.live.get(attempt)?.entry.order?.resultTicket;
  const heard = listener({ put: gate.put, logs: () => logs, bodies, ticketOf, signal: going.signal });
  const host = parts.use(await openProcessHost({ folder, listener: heard, clock, log }));
  parts.defer(() => going.abort());

  const entries = journal.entries();
  const options: AgentOptions = { ...fixed, fences: host.fences, traces: tracing !== undefined };
  const agent = createAgent(options, { meta: journal.meta, entries, reports: journal.reports() }, clock.now());
  const logs = parts.use(makeShipper(config, { folder, epoch, host, clock, link: () => link, log }));
  const load = measureLoad(clock);
  const counts = countAgent();
  const shell = parts.use(
    new Shell({
      core: { step: (input, now) => counts.stepped(input, step(agent, input, now)), nextDue: () => nextDue(agent) },
      journal,
      act: (action) => act(action),
      measure: () => ({ load: load(), spoolBytes: logs.spoolBytes }),
      clock,
      log,
      tracing,
    }),
  );
  const link = makeLink(config, { epoch, shell, logs, log, tracing });
  parts.defer(() => link.leave());
  const act = actions({
    put: gate.put,
    link,
    host,
    logs,
    launch: { drivers, facts, interpreters, folderOf: (attempt) => host.folderOf(attempt) },
    bodies,
    fetchWithinMs: config.settings.startTtlMs,
    newJournal: (afterMs) => {
      renewing = true;
      renewal.resolve({ afterMs });
    },
    monoMs: () => clock.now().mono,
    signal: going.signal,
    log,
  });
  const view = (): AgentView => viewOf(agent);

  parts.use(await startMetrics(config.metrics, () => ({ counts, view, link, shell, logs, version, ...options.capacity }), log));
  gate.open({ kind: "recovered", found: await recover({ journal, entries, host, logs, log }) });
  shell.start();
  const report = (): AgentReport => reportOf(config, options, { view: view(), link, shell, spoolBytes: logs.spoolBytes });
  parts.use(keepStateFile({ folder, report, clock, log }));
  link.start();
  log.info({ workerId: config.workerId, pool: config.pool, epoch, slots: options.capacity.slots }, "worker is up");
  return {
    view,
    handled: (input) => shell.handled(input),
    failed: Promise.race([shell.failed, link.failed]),
    renew: renewal.promise,
  };
}

function bodiesOf(
  { managerUrl }: WorkerConfig,
  clock: Clock,
  live: Pick<BodiesDeps, "connected" | "contextOf">,
): BodiesDeps | null {
  return managerUrl === null ? null : { managerUrl, clock, ...live };
}

/** The agent's folder under its lock, and the journal in it. */
function openGround(
  config: WorkerConfig,
  log: Log,
  parts: AsyncDisposableStack,
): { folder: string; clock: Clock; journal: Journal } {
  const folder = agentFolder(config);
  const clock = bootClock();
  parts.adopt(lockFolder(folder), (lock) => lock.release());
  const journal = parts.adopt(openJournal(folder, clock.now()), (opened) => opened.close());
  for (const note of journal.notes) log.warn(note);
  return { folder, clock, journal };
}

/**
 * Begins a new journal, as the manager wants it of one that it has given up. Processes that run on this host are taken along:
 * whether they go on is for the manager to decide, and forgotten they would be nobody's.
 */
function renewJournal(journal: Journal, agent: AgentState): void {
  // A launch that nobody has confirmed may run as well.
  const running = [...agent.live.values()].map(({ entry }) => entry).filter((entry) => entry.state !== "accepted");
  journal.newJournal();
  journal.write(running.map((entry) => ({ write: "entry", entry })));
}

/** Holds what the host tells until the core has been given what was recovered, which must be its first input. */
function inputGate(put: (input: AgentInput) => void): {
  readonly put: (input: AgentInput) => void;
  readonly open: (first: AgentInput) => void;
} {
  let held: AgentInput[] | undefined = [];
  return {
    put(input) {
      if (held) held.push(input);
      else put(input);
    },
    open(first) {
      put(first);
      for (const input of held ?? []) put(input);
      held = undefined;
    },
  };
}

/** At most a hundred live attempts are shown one by one: the file is written often. */
const shownAttempts = 100;

function reportOf(
  config: WorkerConfig,
  options: AgentOptions,
  now: { readonly view: AgentView; readonly link: Link; readonly shell: Shell; readonly spoolBytes: number },
): AgentReport {
  const { view, link, shell, spoolBytes } = now;
  return {
    workerId: config.workerId,
    pool: config.pool,
    epoch: options.epoch,
    pid: process.pid,
    startTicks: readStat(process.pid)?.startTicks ?? null,
    bootId: options.facts.bootId,
    trouble: link.trouble,
    journalFull: shell.journalFull,
    spoolBytes,
    counts: shell.counts,
    liveCount: view.live.length,
    view: { ...view, live: view.live.slice(0, shownAttempts) },
  };
}
