import type { UplinkKind } from "../../schema/topics.ts";
import type { Weather } from "./plan.ts";
import type { Schedule } from "./schedule.ts";
import type { Chance } from "./seeded.ts";
import type { Trace } from "./trace.ts";

type WireWeather = Pick<Weather, "loss" | "repeat" | "maxDelayMs">;

/** A connection, until it closes. */
export interface Line {
  readonly client: string;
  open: boolean;
  /** Instants until which what is sent by the client, or to it, lies in the network: a partition of one direction. */
  upHeldUntilMs: number;
  downHeldUntilMs: number;
}

interface Kept extends Line {
  readonly serial: number;
  closedAtMs: number;
  readonly closed: (why: string) => void;
  readonly will: Uint8Array | undefined;
  /** By topic, and by who published: when the last one arrives. Order is kept within a session, and no further. */
  readonly lastAtMs: Map<string, number>;
}

interface WorkerLine extends Kept {
  readonly deliver: (payload: Uint8Array) => void;
}

interface ManagerLine extends Kept {
  /** Only who leads hears the workers. */
  subscribed: boolean;
  readonly deliver: (workerId: string, kind: UplinkKind, payload: Uint8Array) => void;
}

export interface BrokerEnds {
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly trace: Trace;
}

/** Of what was under way when its sender's connection broke. */
const tailLost = 0.5;
const retainedMs = 20;

/**
 * A broker as the ones in the field are: at least once, in order for each session and topic, nothing kept for who is away but
 * each worker's last status; messages that it took may vanish, and wills come late or never.
 */
export class SimBroker {
  readonly #ends: BrokerEnds;
  weather: WireWeather = { loss: 0, repeat: 0, maxDelayMs: 20 };
  readonly #workers = new Map<string, WorkerLine>();
  readonly #managers = new Map<string, ManagerLine>();
  readonly #retained = new Map<string, Uint8Array>();
  #life = 1;
  #serial = 0;
  downUntilMs = 0;

  constructor(ends: BrokerEnds) {
    this.#ends = ends;
  }

  /** Undefined while it is down. One that has the id already is cut off: the newest wins. */
  connectWorker(client: string, will: Uint8Array, closed: Kept["closed"], deliver: WorkerLine["deliver"]): Line | undefined {
    if (this.#isDown) return undefined;
    const before = this.#workers.get(client);
    if (before) this.#close(before, "another client has taken the id");
    const line: WorkerLine = { ...this.#kept(client, will, closed), deliver };
    this.#workers.set(client, line);
    return line;
  }

  connectManager(client: string, closed: Kept["closed"], deliver: ManagerLine["deliver"]): Line | undefined {
    if (this.#isDown) return undefined;
    const line: ManagerLine = { ...this.#kept(client, undefined, closed), deliver, subscribed: false };
    this.#managers.set(client, line);
    return line;
  }

  /** To the uplinks of all workers; what is retained of each comes first. Doing it again brings it again. */
  subscribe(from: Line): void {
    const line = from as ManagerLine;
    this.#arrive(line, this.#ends.chance.between(1, retainedMs), () => {
      line.subscribed = true;
      for (const [workerId, payload] of this.#retained)
        this.#arrive(line, this.#ends.chance.between(1, retainedMs), () => line.deliver(workerId, "status", payload));
    });
  }

  get #isDown(): boolean {
    return this.#ends.schedule.nowMs < this.downUntilMs;
  }

  #kept(client: string, will: Uint8Array | undefined, closed: Kept["closed"]): Kept {
    this.#serial += 1;
    return {
      client,
      serial: this.#serial,
      open: true,
      closedAtMs: Number.POSITIVE_INFINITY,
      upHeldUntilMs: 0,
      downHeldUntilMs: 0,
      closed,
      will,
      lastAtMs: new Map(),
    };
  }

  publishUp(from: Line, kind: UplinkKind, payload: Uint8Array): void {
    const line = from as Kept;
    if (!line.open) return;
    this.#up(line, kind, payload, line.upHeldUntilMs);
  }

  publishDown(from: Line, workerId: string, payload: Uint8Array): void {
    const line = from as ManagerLine;
    const to = this.#workers.get(workerId);
    // Clean sessions: for who is not there nothing is kept.
    if (!line.open || !to) return;
    this.#send(line, to, "commands", Math.max(line.upHeldUntilMs, to.downHeldUntilMs), () => to.deliver(payload));
  }

  /** The client says goodbye: no will. */
  leave(from: Line): void {
    const line = from as Kept;
    if (!line.open) return;
    this.#shut(line);
  }

  /** The connection breaks, for both ends. */
  cut(from: Line, why: string): void {
    const line = from as Kept;
    if (line.open) this.#close(line, why);
  }

  /** kill -9 of the broker, its store wiped: sessions, retained messages and wills are forgotten. */
  restart(downForMs: number): void {
    const { schedule } = this.#ends;
    this.#life += 1;
    this.#retained.clear();
    this.downUntilMs = schedule.nowMs + downForMs;
    for (const line of [...this.#workers.values(), ...this.#managers.values()]) {
      this.#shut(line);
      line.closed("the broker is gone");
    }
  }

  /** Its client's process is dead, or its network: the broker notices, sooner or later, and publishes the will, perhaps. */
  #close(line: Kept, why: string): void {
    const { chance, schedule } = this.#ends;
    this.#shut(line);
    line.closed(why);
    const { will, client } = line;
    if (!will || chance.happens(0.1)) return;
    const life = this.#life;
    schedule.after(chance.pick([0, 10, 1_000, 20_000]), () => {
      // From the broker itself, not over the line that broke.
      if (life === this.#life)
        this.#up(
          this.#kept(client, undefined, () => undefined),
          "status",
          will,
          0,
        );
    });
  }

  #shut(line: Kept): void {
    line.open = false;
    line.closedAtMs = this.#ends.schedule.nowMs;
    if (this.#workers.get(line.client) === line) this.#workers.delete(line.client);
    if (this.#managers.get(line.client) === line) this.#managers.delete(line.client);
  }

  #up(line: Kept, kind: UplinkKind, payload: Uint8Array, heldUntilMs: number): void {
    const workerId = line.client;
    if (kind === "status") this.#retained.set(workerId, payload);
    for (const to of this.#managers.values())
      if (to.subscribed)
        this.#send(line, to, kind, Math.max(heldUntilMs, to.downHeldUntilMs), () => to.deliver(workerId, kind, payload));
  }

  /** One message from one line to another; none, one or two arrive. */
  #send(from: Kept, to: Kept, topic: string, heldUntilMs: number, deliver: () => void): void {
    const { chance, schedule } = this.#ends;
    const { loss, repeat, maxDelayMs } = this.weather;
    const { nowMs } = schedule;
    const key = `${from.serial} ${topic}`;
    const delayMs = chance.between(1, maxDelayMs);
    const atMs = Math.max(nowMs + delayMs, heldUntilMs + 1, to.lastAtMs.get(key) ?? 0);
    to.lastAtMs.set(key, atMs);
    const leftAtMs = Math.max(nowMs + delayMs / 2, heldUntilMs);
    const survives = !chance.happens(tailLost);
    const deliverIf = (): void => {
      if (from.closedAtMs < leftAtMs && !survives) return;
      deliver();
    };
    const isLost = chance.happens(loss);
    if (!isLost) this.#arrive(to, atMs - nowMs, deliverIf);
    // A copy comes whenever it likes: a PUBACK was late, or lost with the message, or a cluster sends again.
    if (chance.happens(repeat)) this.#arrive(to, atMs - nowMs + chance.pick([0, 10, 3 * maxDelayMs, 20_000]), deliverIf);
  }

  #arrive(to: Kept, delayMs: number, deliver: () => void): void {
    const life = this.#life;
    this.#ends.schedule.after(delayMs, () => {
      if (to.open && life === this.#life) deliver();
    });
  }
}
