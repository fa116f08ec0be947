/** Messages under way. */
import type { Input } from "../../../manager/control/inputs.ts";
import type { Command } from "../../../manager/control/outputs.ts";
import type { UplinkKind } from "../../../schema/topics.ts";
import { freezeGraph } from "./graph.ts";
import type { Parts } from "./parts.ts";
import { nameOf } from "./step.ts";
import type { WorkerNews } from "./worker.ts";
import { workerIds, type Flight } from "./world.ts";

export type Downlink = Extract<Flight, { to: "worker" }>;
export type Uplink = Extract<Flight, { to: "managers" }>;

export class Wire {
  readonly #parts: Parts;
  readonly #flights: number;
  readonly #parsed = new Map<string, Input | null>();

  constructor(parts: Parts, flights: number) {
    this.#parts = parts;
    this.#flights = flights;
  }

  /** The real door reads it, once. */
  uplink(at: number, kind: UplinkKind, message: unknown): Uplink {
    const body = JSON.stringify(message);
    const key = `${at} ${kind} ${body}`;
    let input = this.#parsed.get(key);
    if (input === undefined) {
      const parsed = this.#parts.inbox.parseUplink(nameOf(at), kind, Buffer.from(body));
      input = parsed.kind === "input" ? freezeGraph(parsed.input) : null;
      this.#parsed.set(key, input);
    }
    if (input === null) throw new Error(`a ${kind} of ${nameOf(at)} is unreadable: ${body}`);
    return { to: "managers", worker: at, input, text: uplinkText(nameOf(at), input) };
  }

  downlink(term: number, command: Command): Downlink {
    const worker = workerIds.indexOf(command.workerId as (typeof workerIds)[number]);
    const message = freezeGraph({ v: 1 as const, term, asOf: command.asOf, items: [...command.items] });
    const items = command.items.map((item) => itemText(item as { kind: string; attempt?: string }));
    return { to: "worker", worker, message, text: `${items.join("+")} of term ${term}` };
  }

  /**
   * One that is there already is not there twice: copies are what `repeats` are for. Of heartbeats and of bare acks only the
   * newest is kept, and of all others as many as the bounds say.
   */
  put(wire: readonly Flight[], flight: Flight): readonly Flight[] {
    const content = contentOf(flight);
    const others = wire.filter((each) => contentOf(each) !== content && !outdates(flight, each));
    const same = others.filter((each) => each.to === flight.to && each.worker === flight.worker);
    const lost = same.length >= this.#flights ? same[0] : undefined;
    return [...others.filter((each) => each !== lost), flight];
  }
}

/** What one action has a worker report goes in one message, as when it gathers. */
export function gathered(uplinks: WorkerNews["uplinks"]): WorkerNews["uplinks"] {
  const reports = uplinks.filter(({ kind }) => kind === "reports");
  const last = reports.at(-1);
  if (!last || reports.length === 1) return uplinks;
  const items = reports.flatMap(({ message }) => (message as { readonly items: readonly unknown[] }).items);
  return [
    ...uplinks.filter(({ kind }) => kind !== "reports"),
    { kind: "reports", message: { ...(last.message as object), items } },
  ];
}

function outdates(flight: Flight, older: Flight): boolean {
  if (flight.to !== older.to || flight.worker !== older.worker) return false;
  if (flight.to === "managers")
    return older.to === "managers" && flight.input.kind === "heartbeat" && older.input.kind === "heartbeat";
  return older.to === "worker" && flight.message.term === older.message.term && isBareAck(flight) && isBareAck(older);
}

export function isBareAck(flight: Flight): boolean {
  return flight.to === "worker" && flight.message.items.every(({ kind }) => kind === "ack");
}

const contents = new WeakMap<Flight, string>();

function contentOf(flight: Flight): string {
  const known = contents.get(flight);
  if (known !== undefined) return known;
  const content = JSON.stringify([flight.to, flight.worker, flight.to === "worker" ? flight.message : flight.input]);
  contents.set(flight, content);
  return content;
}

function itemText(item: { readonly kind: string; readonly attempt?: string }): string {
  return item.attempt === undefined ? item.kind : `${item.kind} ${item.attempt}`;
}

function uplinkText(worker: string, input: Input): string {
  if (input.kind === "reports")
    return `${worker}'s reports (${input.message.items.map(({ kind, attempt }) => `${kind} ${attempt}`).join(", ")})`;
  if (input.kind === "hello")
    return `${worker}'s hello (${input.message.inventory.items.map(({ attempt, state }) => `${attempt} ${state}`).join(", ") || "nothing"})`;
  return input.kind === "status" ? `${worker}'s status ${input.message.st}` : `${worker}'s ${input.kind}`;
}
