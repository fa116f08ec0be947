import type { UplinkKind } from "../../schema/topics.ts";
import type { ActDeps } from "../../worker/act.ts";
import type { AgentAction, AgentInput, AgentOptions } from "../../worker/agent/types.ts";
import type { JournalWrite } from "../../worker/agent/records.ts";
import type { Shell } from "../../worker/shell.ts";
import type { SimHost } from "./host.ts";
import type { SimJournal } from "./journal.ts";
import { log } from "./quiet.ts";
import type { PlanTiming } from "./plan.ts";
import type { Product } from "./product.ts";

export type AgentState = ReturnType<Product["agent"]["createAgent"]>;

/** Where an agent that is doomed dies. */
export type AgentDeath = "beforeJournal" | "afterJournal" | "betweenActions";

/** Thrown through the product's own code when its process is killed. */
export class Killed extends Error {}

/** What one life of an agent is made of, and what the world does for it. */
export interface AgentParts {
  readonly product: Product;
  readonly options: AgentOptions;
  readonly host: SimHost;
  readonly journal: SimJournal;
  /** Writes to the journal; may throw, and then the process is dead. */
  readonly write: (writes: readonly JournalWrite[]) => void;
  readonly violated: (sentence: string) => void;
  /** Called before each action; may throw too. */
  readonly acts: (action: AgentAction) => void;
  readonly put: (input: AgentInput) => void;
  readonly publish: (kind: UplinkKind, message: object) => void;
  readonly restFor: (ms: number) => void;
  readonly newJournal: (afterMs: number) => void;
}

const driver = { name: "script", prepare: () => ({ program: "/bin/sh", args: [], files: [], env: {} }) };

/** The product's own agent: core, shell and what does its actions, over a journal, a host and a wire that only pretend. */
export function makeAgent(parts: AgentParts): { readonly agent: AgentState; readonly shell: Shell } {
  const { product, options, host, journal } = parts;
  const content = { meta: journal.meta, entries: journal.entries(), reports: journal.reports() };
  const agent = product.agent.createAgent(options, content, host.now());
  const act = product.act.actions(actDeps(parts));
  const shell = new product.shell.Shell({
    core: {
      step: (input, now) => {
        const live = agent.draining && drainsAllAlong(input) ? new Set(agent.live.keys()) : undefined;
        const step = product.agent.step(agent, input, now);
        for (const id of live ? agent.live.keys() : []) if (!live?.has(id)) parts.violated(`${host.name} drains and took ${id}`);
        return step;
      },
      nextDue: () => product.agent.nextDue(agent),
    },
    journal: {
      get room() {
        return journal.room;
      },
      write: parts.write,
      durable: () => journal.durable(),
    },
    act: (action) => {
      parts.acts(action);
      act(action);
    },
    measure: () => ({ load: { cpu: 0, memoryMb: 0 }, spoolBytes: 0 }),
    clock: { now: () => host.now() },
    log,
  });
  return { agent, shell };
}

/** Nothing in it may take the drain back, as a late copy of an older sync does. */
function drainsAllAlong(input: AgentInput): boolean {
  return input.kind !== "commands" || !input.message.items.some(({ kind }) => kind === "sync" || kind === "drain");
}

function actDeps(parts: AgentParts): ActDeps {
  const { host, options } = parts;
  const deps = {
    put: parts.put,
    link: {
      publish: async (kind: UplinkKind, message: object) => parts.publish(kind, message),
      restFor: async (ms: number) => parts.restFor(ms),
    },
    host,
    logs: host.output,
    launch: {
      drivers: new Map([["script", driver]]),
      facts: options.facts,
      interpreters: new Map(),
      folderOf: (attempt: string) => `/${attempt}`,
    },
    bodies: null,
    fetchWithinMs: 1_000,
    newJournal: parts.newJournal,
    monoMs: () => host.now().mono,
    signal: new AbortController().signal,
    log,
  };
  // The host and the output have the verbs that are called, and no files.
  return deps as unknown as ActDeps;
}

/** What the host tells goes to the agent that lives now. */
export function listenTo(parts: Pick<AgentParts, "product" | "host" | "put">): void {
  const { product, host, put } = parts;
  host.listener = product.act.listener({
    put,
    logs: () => host.output as unknown as ActDeps["logs"],
    bodies: null,
    ticketOf: () => undefined,
    signal: new AbortController().signal,
  });
}

export function agentOptions(
  worker: { readonly id: string; readonly slots: number; readonly bootId: string },
  epoch: string,
  { heartbeatMs }: PlanTiming,
): AgentOptions {
  const { id, slots, bootId } = worker;
  return {
    epoch,
    facts: {
      os: "linux",
      osVersion: "",
      arch: "x64",
      hostname: id,
      cpus: 4,
      memoryMb: 4_000,
      interpreters: { sh: "1" },
      drivers: ["exec", "script"],
      agentVersion: "0",
      nodeVersion: "",
      bootId,
    },
    labels: {},
    capacity: { slots, memoryMb: 4_000, cpus: 4 },
    survives: true,
    http: false,
    fences: true,
    gatherMs: 20,
    settings: { heartbeatMs, startTtlMs: 3.5 * heartbeatMs, workerLostMs: 7.5 * heartbeatMs },
  };
}
