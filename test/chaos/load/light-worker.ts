/**
 * A worker without processes and without a disk: its core, its loop and its end of the wire are those of a real one, so that a
 * thousand of them reconnect, say hello, beat and report exactly as a thousand hosts would. What it launches only stands in the
 * witness file until it is told to end.
 */
import { appendFileSync } from "node:fs";
import { mqttConnector } from "../../../broker/mqtt.ts";
import { formatEpoch } from "../../../schema/ids.ts";
import { bootClock } from "../../../schema/kit/clock.ts";
import { silentLog } from "../../../schema/kit/log.ts";
import { shortId } from "../../../schema/kit/random.ts";
import { timing } from "../../../schema/limits.ts";
import { createAgent, nextDue, step, viewOf } from "../../../worker/agent/agent.ts";
import type { AgentAction, AgentOptions } from "../../../worker/agent/types.ts";
import { Link } from "../../../worker/link.ts";
import { Shell } from "../../../worker/shell.ts";

export interface LightPlan {
  readonly id: string;
  readonly password: string;
  readonly brokerUrl: string;
  readonly slots: number;
  readonly heartbeatMs: number;
  readonly witness: string;
}

export interface LightFigures {
  readonly synced: number;
  readonly live: number;
  /** Starts that were launched, and hellos that were sent, in all. */
  readonly launched: number;
  readonly hellos: number;
  readonly connections: number;
  /** Times that a manager refused a hello. */
  readonly refused: number;
}

const clock = bootClock();
const log = silentLog();

export class LightWorker {
  readonly #plan: LightPlan;
  readonly #agent: ReturnType<typeof createAgent>;
  readonly #shell: Shell;
  readonly #link: Link;
  /** Attempt → how its lines in the witness file begin. */
  readonly #live = new Map<string, string>();
  #launched = 0;
  #refused = 0;

  constructor(plan: LightPlan) {
    this.#plan = plan;
    const meta = { journal: shortId(), n: 1, highestTerm: 0, highestAck: 0, nextSeq: 1 };
    const options = optionsOf(plan, formatEpoch({ journal: meta.journal, n: 1, nonce: shortId() }));
    this.#agent = createAgent(options, { meta, entries: [], reports: [] }, clock.now());
    this.#shell = new Shell({
      core: { step: (input, now) => step(this.#agent, input, now), nextDue: () => nextDue(this.#agent) },
      // It never dies, so its memory is as good as a journal.
      journal: { write: () => undefined, durable: () => ({ meta, entry: () => undefined }), room: true },
      act: (action) => this.#act(action),
      measure: () => ({ load: { cpu: 0, memoryMb: 0 }, spoolBytes: 0 }),
      clock,
      log,
    });
    this.#link = new Link({
      connector: mqttConnector({ url: plan.brokerUrl, username: plan.id, password: plan.password }),
      prefix: "muster",
      pool: "default",
      workerId: plan.id,
      epoch: options.epoch,
      up: (connection) => this.#shell.put({ kind: "connected", connection }),
      down: () => this.#shell.put({ kind: "disconnected" }),
      take: (payload) => this.#shell.offer(payload),
      random: Math.random,
      log,
    });
  }

  start(): void {
    this.#shell.put({ kind: "recovered", found: [] });
    this.#shell.start();
    this.#link.start();
  }

  /** Everything that it runs exits with 0. */
  endAll(): void {
    for (const [attempt, line] of this.#live) {
      appendFileSync(this.#plan.witness, `${line} end 0\n`);
      this.#shell.put({
        kind: "ended",
        attempt,
        exit: { read: "code", code: 0 },
        termBefore: false,
        timedOut: false,
        fenced: false,
        result: { kind: "none" },
        endedWall: clock.now().wall,
      });
    }
    this.#live.clear();
  }

  get figures(): LightFigures {
    const { synced, live } = viewOf(this.#agent);
    const { connection, figures } = this.#link;
    return {
      synced: synced ? 1 : 0,
      live: live.length,
      launched: this.#launched,
      hellos: figures.sent.hello,
      connections: connection,
      refused: this.#refused,
    };
  }

  #act(action: AgentAction): void {
    switch (action.action) {
      case "publish":
        void this.#link.publish(action.what, action.message);
        return;
      case "launch": {
        const { attempt, run, number } = action.order;
        const line = `${run} ${number} ${process.pid}`;
        appendFileSync(this.#plan.witness, `${line} start\n`);
        this.#launched += 1;
        this.#live.set(attempt, line);
        const { wall } = clock.now();
        const stranger = { bootId: this.#plan.id, pid: 1, startTicks: 1 };
        this.#shell.put({ kind: "started", attempt, process: stranger, startedWall: wall });
        return;
      }
      case "disconnect":
        this.#refused += 1;
        void this.#link.restFor(action.retryAfterMs);
        return;
      case "fetchBody":
      case "terminate":
      case "kill":
      case "signal":
        throw new Error(`${this.#plan.id} is to ${action.action}, which no scenario asks for`);
      case "deadlines":
      case "logsAck":
      case "logsAgain":
      case "settled":
      case "note":
        return;
    }
  }
}

function optionsOf({ id, slots, heartbeatMs }: LightPlan, epoch: string): AgentOptions {
  return {
    epoch,
    facts: {
      os: "linux",
      osVersion: "",
      arch: process.arch,
      hostname: id,
      cpus: 4,
      memoryMb: 8_192,
      interpreters: { sh: "1" },
      drivers: ["exec", "script"],
      agentVersion: "0.1.0",
      nodeVersion: process.versions.node,
      bootId: id,
    },
    labels: {},
    capacity: { slots, memoryMb: 8_192, cpus: 4 },
    survives: true,
    http: false,
    fences: true,
    gatherMs: timing.gatherMs,
    settings: {
      heartbeatMs,
      startTtlMs: heartbeatMs * timing.startTtlIntervals,
      workerLostMs: heartbeatMs * timing.workerLostIntervals,
    },
  };
}
