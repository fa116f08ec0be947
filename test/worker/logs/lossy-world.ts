/**
 * A worker's shipper, a wire that loses, doubles and delays, and two managers with their real intake over one store: all on
 * the fake clock of the test. The managers lead in turn, stand still, start anew and cannot store, as the test says.
 */
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LogAcks, type LogAck } from "../../../manager/engine/log-acks.ts";
import { LogIntake } from "../../../manager/link/log-intake.ts";
import type { LogStore } from "../../../manager/store/logstore.ts";
import { openMemoryLogs } from "../../../manager/store/memory-logs.ts";
import { silentLog } from "../../../schema/kit/log.ts";
import { workerLimits } from "../../../schema/limits.ts";
import type { LogPiece } from "../../../worker/logs/piece.ts";
import { openPositions } from "../../../worker/logs/positions.ts";
import { LogShipper } from "../../../worker/logs/shipper.ts";
import type { LogStream } from "../../../worker/logs/stream.ts";

const worker = "w";
const streamBytes = workerLimits.logStreamBytes;
/** How often the leader commits, and with that says what is stored. */
const commitMs = 20;

interface Manager {
  intake: LogIntake;
  acks: LogAcks;
  up: boolean;
}

interface Tracked {
  readonly written: Buffer[];
  ended: boolean;
  /** The manager has acknowledged its end. */
  settled: boolean;
}

export class LossyWorld implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), "muster-lossy-"));
  /** Per cent of the messages that are lost, each way. */
  lossUp = 0;
  lossDown = 0;
  /** The longest way of a message. */
  wayMs = 5;
  storeMs = 2;
  storeFails = false;
  slowReads = false;
  /** How often a piece of each attempt was sent. */
  readonly sent = new Map<string, number>();
  /** Attempts that the managers know as another worker's. */
  readonly unwanted = new Set<string>();
  readonly removed = new Set<string>();
  readonly #logs = openMemoryLogs();
  readonly #attempts = new Map<string, Tracked>();
  readonly #chance: () => number;
  readonly #managers: [Manager, Manager];
  readonly #committing: NodeJS.Timeout;
  #leader = 0;
  #term = 1;
  #heardTerm = 1;
  #connected = true;
  #connection = 1;
  #shipper: LogShipper;

  /** `chance` draws from [0, 1). */
  constructor(chance: () => number) {
    this.#chance = chance;
    this.#managers = [this.#manager(0), this.#manager(1)];
    this.#shipper = this.#newShipper();
    this.#shipper.up();
    this.#committing = setInterval(() => this.#commit(), commitMs);
  }

  /** An attempt begins, writes, or ends. */
  output(attempt: string, bytes: number, ends: boolean): void {
    let tracked = this.#attempts.get(attempt);
    if (tracked?.ended) return;
    const file = join(this.root, attempt, "stdout");
    if (!tracked) {
      this.#attempts.set(attempt, (tracked = { written: [], ended: false, settled: false }));
      mkdirSync(join(this.root, attempt));
      for (const name of ["stdout", "stderr"]) writeFileSync(join(this.root, attempt, name), "");
      this.#shipper.track(attempt);
    }
    const more = Buffer.alloc(bytes, `${attempt}:${tracked.written.length};`);
    tracked.written.push(more);
    appendFileSync(file, more);
    tracked.ended = ends;
    if (ends) this.#shipper.ended(attempt);
  }

  settle(attempt: string): void {
    const tracked = this.#attempts.get(attempt);
    if (!tracked?.ended) return;
    tracked.settled = true;
    this.#shipper.settle(attempt);
  }

  lead(manager: number): void {
    this.#managers[this.#leader]?.acks.take();
    this.#leader = manager;
    this.#term += 1;
  }

  restart(at: number, forMs: number): void {
    this.#managers[at as 0 | 1] = { ...this.#manager(at), up: false };
    const fresh = this.#managers[at as 0 | 1];
    setTimeout(() => (fresh.up = true), forMs);
  }

  cut(forMs: number): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#connection += 1;
    this.#shipper.down();
    setTimeout(() => this.#connect(), forMs);
  }

  /** The agent is killed and starts again. */
  restartAgent(): void {
    void this.#shipper[Symbol.asyncDispose]();
    this.#shipper = this.#newShipper();
    for (const [attempt, { ended, settled }] of this.#attempts) {
      if (this.removed.has(attempt)) continue;
      this.#shipper.track(attempt);
      if (ended) this.#shipper.ended(attempt);
      if (settled) this.#shipper.settle(attempt);
    }
    if (this.#connected) this.#shipper.up();
  }

  /** Everything is well from now on, and every process ends; what the clients were told of ends is settled. */
  heal(): void {
    Object.assign(this, { lossUp: 0, lossDown: 0, wayMs: 5, storeMs: 2, storeFails: false, slowReads: false });
    for (const manager of this.#managers) manager.up = true;
    for (const attempt of this.#attempts.keys()) {
      this.output(attempt, 0, true);
      this.settle(attempt);
    }
  }

  /** What is not at the manager as it was written; empty when all is. */
  async missing(): Promise<string[]> {
    const missing: string[] = [];
    for (const [attempt, { written }] of this.#attempts) {
      const all = Buffer.concat(written);
      const { pieces, end } = await this.#logs.read(attempt, "stdout", 0, all.length + 1);
      const kept = Buffer.concat(pieces.map((piece) => (piece.kind === "bytes" ? piece.bytes : Buffer.alloc(piece.length))));
      if (end !== all.length || !kept.equals(all)) missing.push(`${attempt}: ${end} of ${all.length}`);
      else if (!this.removed.has(attempt)) missing.push(`${attempt}: its folder is there`);
    }
    return missing;
  }

  #connect(): void {
    this.#connected = true;
    this.#shipper.up();
  }

  #manager(at: number): Manager {
    const append: LogStore["append"] = async (attempt, stream, piece) => {
      await new Promise((resolve) => setTimeout(resolve, this.storeMs));
      if (this.storeFails) throw new Error("the store is away");
      return await this.#logs.append(attempt, stream, piece);
    };
    const intake = new LogIntake({
      logs: { ...this.#logs, append },
      store: { attempt: async (id) => ({ workerId: this.unwanted.has(id) ? "another" : worker }) as never },
      log: silentLog(),
      streamBytes,
      // As the engine does: only a leader may say it.
      acknowledge: (_pool, workerId, ack) => {
        const manager = this.#managers[at as 0 | 1];
        if (at === this.#leader && manager.intake === intake) manager.acks.put(workerId, ack);
      },
    });
    return { intake, acks: new LogAcks(), up: true };
  }

  #commit(): void {
    const { up, acks } = this.#managers[this.#leader] as Manager;
    if (!up || this.storeFails) return;
    const term = this.#term;
    for (const items of acks.take().values()) {
      if (items.length > 0) this.#travels("down", () => this.#hear(term, items));
    }
  }

  #hear(term: number, items: readonly LogAck[]): void {
    if (term < this.#heardTerm) return;
    if (term > this.#heardTerm) this.#shipper.again();
    this.#heardTerm = term;
    for (const { attempt, stream, offset } of items) this.#shipper.acked(attempt, stream, offset);
  }

  #send(piece: LogPiece): void {
    this.sent.set(piece.attempt, (this.sent.get(piece.attempt) ?? 0) + 1);
    const message = { v: 1, epoch: "e", connection: this.#connection, mono: 0, start: 1, ...piece } as const;
    this.#travels("up", () => {
      // Every manager of the pool hears it, leader or not.
      for (const { up, intake } of this.#managers) if (up) intake.take("default", worker, message);
    });
  }

  /** One message: lost, once, or twice. What was on its way when the connection broke never arrives. */
  #travels(way: "up" | "down", arrives: () => void): void {
    const connection = this.#connection;
    const copies = this.#chance() < 0.05 ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      if (!this.#connected || this.#chance() * 100 < (way === "up" ? this.lossUp : this.lossDown)) continue;
      setTimeout(
        () => {
          if (connection === this.#connection) arrives();
        },
        Math.ceil(this.#chance() * this.wayMs),
      );
    }
  }

  #newShipper(): LogShipper {
    return new LogShipper({
      folderOf: (attempt) => join(this.root, attempt),
      remove: async (attempt) => void this.removed.add(attempt),
      send: (piece) => this.#send(piece),
      read: async (stream: LogStream, covers) => {
        if (covers.kind === "gap") throw new Error(`a gap that nobody made: ${JSON.stringify(covers)}`);
        // The disk is slow now and then: meanwhile an ack comes, the connection goes, another piece is the next.
        if (this.slowReads && this.#chance() < 0.2) await new Promise((resolve) => setTimeout(resolve, this.#chance() * 3_000));
        const bytes = readFileSync(stream.file).subarray(covers.offset, covers.offset + covers.length);
        const { attempt, name } = stream;
        return { covers, message: { attempt, stream: name, offset: covers.offset, bytes: bytes.toString("base64") } };
      },
      freeBytes: () => Promise.reject(new Error("not here")),
      positions: openPositions(join(this.root, "shipped")),
      logSpoolBytes: workerLimits.logSpoolBytes,
      clock: { now: () => ({ mono: Date.now(), wall: 0 }) },
      log: silentLog(),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#committing);
    await this.#shipper[Symbol.asyncDispose]();
    rmSync(this.root, { recursive: true, force: true });
  }
}
