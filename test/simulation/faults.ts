import type { AgentDeath } from "./agent.ts";
import type { Clients } from "./clients.ts";
import type { SimBroker } from "./broker.ts";
import { calm, type SimDatabase } from "./database.ts";
import type { Death, SimManager } from "./manager.ts";
import type { Fault, FaultKind, Plan } from "./plan.ts";
import type { Schedule } from "./schedule.ts";
import type { Chance } from "./seeded.ts";
import type { Trace } from "./trace.ts";
import type { SimWorker } from "./worker.ts";
import type { Witness } from "./witness.ts";

export interface FaultEnds {
  readonly plan: Plan;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly witness: Witness;
  readonly broker: SimBroker;
  readonly database: SimDatabase;
  readonly managers: readonly SimManager[];
  readonly workers: readonly SimWorker[];
  /** One more agent under a worker's id, on a host of its own. */
  readonly another: (workerId: string) => SimWorker;
  readonly clients: Clients;
}

type Acts<T> = Readonly<Partial<Record<FaultKind, (whom: T, fault: Fault) => void>>>;

/** Workers without which a world's runs would not end in time. */
const leastLeft = 3;
const hourMs = 3_600_000;
const clockOffsMs: Readonly<Record<string, number>> = {
  "-3h": -3 * hourMs,
  "+2h": 2 * hourMs,
  "+1d": 24 * hourMs,
  "+8d": 192 * hourMs,
};

/** What goes wrong, and how it heals. */
export class Faults {
  readonly #ends: FaultEnds;
  made = 0;

  constructor(ends: FaultEnds) {
    this.#ends = ends;
  }

  plan(): void {
    const { plan, schedule, broker, database } = this.#ends;
    broker.weather = plan.weather;
    database.weather = plan.weather;
    for (const fault of plan.faults) schedule.after(fault.atMs, () => this.#make(fault));
  }

  #make(fault: Fault): void {
    this.made += 1;
    const { trace, managers, workers } = this.#ends;
    trace.tell(() => `fault: ${fault.kind} ${fault.who} ${fault.how} for ${fault.forMs} ms`);
    const manager = managers.find(({ id }) => id === fault.who);
    const worker = workers.find(({ id }) => id === fault.who);
    if (manager) this.#ofManager[fault.kind]?.(manager, fault);
    if (worker) this.#ofWorker[fault.kind]?.(worker, fault);
  }

  readonly #ofManager: Acts<SimManager> = {
    managerKill: (manager, { forMs }) => {
      manager.die();
      this.#startLater(manager, forMs);
    },
    managerKillAtCommit: (manager, { forMs, how }) => {
      manager.dieAt = how as Death;
      this.#startLater(manager, forMs + 3_000);
    },
    managerStop: (manager, { forMs }) => {
      manager.stop();
      this.#startLater(manager, forMs + 1_000);
    },
    managerPause: (manager, { forMs }) => manager.life?.pause(forMs, false),
    managerSuspend: (manager, { forMs }) => manager.life?.pause(forMs, true),
    managerCut: (manager, { forMs }) => {
      manager.cutUntilMs = this.#ends.schedule.nowMs + forMs;
      manager.cut();
    },
    managerNoDatabase: (manager, { forMs }) => this.#noDatabase(manager, forMs),
    clockJump: (manager, { how }) => {
      if (manager.life) manager.life.wallOffMs += clockOffsMs[how] ?? 0;
    },
  };

  #startLater(manager: SimManager, delayMs: number): void {
    this.#ends.schedule.after(delayMs, () => manager.start());
  }

  #noDatabase(manager: SimManager, forMs: number): void {
    const { schedule } = this.#ends;
    const untilMs = schedule.nowMs + forMs;
    manager.noDatabaseUntilMs = untilMs;
    if (manager.life) manager.life.cutFromDatabase = true;
    schedule.after(forMs, () => {
      if (manager.life && manager.noDatabaseUntilMs <= schedule.nowMs) manager.life.cutFromDatabase = false;
    });
  }

  readonly #ofWorker: Acts<SimWorker> = {
    agentKill: (worker, { forMs }) => {
      worker.die();
      this.#backLater(worker, forMs);
    },
    agentKillAtStep: (worker, { forMs, how }) => {
      worker.dieAt = how as AgentDeath;
      this.#backLater(worker, forMs + 4_000);
    },
    agentStop: (worker, { forMs, how }) => {
      worker.leave(how === "runsStop");
      this.#backLater(worker, forMs + 4_000);
    },
    agentPause: (worker, { forMs }) => worker.pause(forMs),
    cut: (worker, { forMs }) => this.#cut(worker, forMs),
    oneWay: (worker, { forMs, how }) => this.#oneWay(worker, forMs, how),
    reboot: (worker, { forMs }) => {
      worker.reboot();
      this.#backLater(worker, forMs);
    },
    suspend: (worker, { forMs }) => this.#suspend(worker, forMs, false),
    vmPause: (worker, { forMs }) => this.#suspend(worker, forMs, true),
    diskFull: (worker, { forMs, how }) => this.#diskFull(worker, forMs, how),
    clockJump: (worker, { how }) => {
      worker.host.wallOffMs += clockOffsMs[how] ?? 0;
    },
    drain: (worker, { forMs }) => this.#ends.clients.drain(worker.id, forMs),
    remove: (worker, { forMs, how }) => this.#remove(worker, forMs, how),
    destroyed: (worker) => this.#destroy(worker),
    duplicateId: (worker, { forMs }) => this.#duplicate(worker, forMs),
    restoredCopy: (worker, { forMs }) => this.#restoreCopy(worker, forMs),
    brokerRestart: (_worker, { forMs }) => this.#ends.broker.restart(Math.min(forMs, 10_000)),
    databaseDown: (_worker, { forMs }) => {
      this.#ends.database.downUntilMs = this.#ends.schedule.nowMs + forMs;
    },
    silence: (_worker, { forMs, how }) => {
      const { schedule, clients } = this.#ends;
      // An operator who believes that they are gone.
      if (how === "released") schedule.after(forMs / 2, () => clients.releaseBrake());
      for (const each of this.#ends.workers) this.#cut(each, forMs + this.#ends.chance.between(0, 500));
    },
  };

  #cut(worker: SimWorker, forMs: number): void {
    worker.cutUntilMs = Math.max(worker.cutUntilMs, this.#ends.schedule.nowMs + forMs);
    worker.cut();
  }

  /** What is sent in this direction lies in the network until it heals, or until somebody misses a ping. */
  #oneWay(worker: SimWorker, forMs: number, how: string): void {
    const { schedule } = this.#ends;
    const { line } = worker;
    if (!line) return;
    if (how === "up") line.upHeldUntilMs = schedule.nowMs + forMs;
    else line.downHeldUntilMs = schedule.nowMs + forMs;
    if (forMs >= 30_000) schedule.after(30_000, () => line === worker.line && worker.cut("no ping"));
  }

  /** The broker misses a host that sleeps for long, or does not. */
  #suspend(worker: SimWorker, forMs: number, frozen: boolean): void {
    worker.host.suspend(forMs, frozen);
    if (this.#ends.chance.happens(0.5)) this.#ends.schedule.after(forMs / 2, () => worker.cut("no ping"));
  }

  #diskFull(worker: SimWorker, forMs: number, how: string): void {
    if (how === "launch") worker.host.noRoom = true;
    else worker.journal.full = "yes";
    this.#ends.schedule.after(forMs, () => {
      worker.host.noRoom = false;
      worker.journal.full = "no";
    });
  }

  /** An operator removes it; later, perhaps, its agent is started anew, which joins again. */
  #remove(worker: SimWorker, forMs: number, how: string): void {
    const { clients, schedule } = this.#ends;
    clients.remove(worker.id, () => {
      if (how === "staysAway") return;
      schedule.after(forMs, () => {
        worker.die();
        worker.start();
      });
    });
  }

  /** Its host burns, and nobody brings it back. Some must be left to do the work. */
  #destroy(worker: SimWorker): void {
    const { plan, workers } = this.#ends;
    const isLeft = ({ host, isGone }: SimWorker): boolean => !isGone && plan.workers.some(({ id }) => id === host.name);
    if (workers.filter(isLeft).length <= leastLeft || !isLeft(worker)) return;
    worker.isGone = true;
    worker.retired = true;
    worker.reboot();
  }

  /** An operator removes those that are gone; by then nothing must wait for them any more (rule 8). */
  removeGone(): void {
    const { clients, managers, witness, workers } = this.#ends;
    const state = managers.find(({ engine }) => engine?.lead)?.engine?.lead?.state;
    for (const { id, isGone } of workers) {
      if (!isGone) continue;
      for (const { orphan, row } of state?.workers.get(id)?.attempts.values() ?? [])
        if (!orphan) witness.violated(`run ${row.runId} waits still for worker ${id}, which is gone for good`);
      clients.remove(id, () => undefined);
    }
  }

  /** Where everybody was removed nothing would ever run: an operator starts one agent anew. */
  keepOne(isRemoved: (workerId: string) => boolean): void {
    const { trace, workers } = this.#ends;
    const left = workers.filter(({ retired }) => !retired);
    const [first] = left;
    if (!first || !left.every(({ id }) => isRemoved(id))) return;
    trace.tell(() => `${first.id} is started anew, since every worker was removed`);
    first.die();
    first.start();
  }

  /** Somebody installs a second agent under the same id. */
  #duplicate(worker: SimWorker, forMs: number): void {
    const other = this.#ends.another(worker.id);
    other.start();
    this.#ends.schedule.after(forMs, () => {
      other.retired = true;
      other.die();
    });
  }

  /** A machine is put back to how it was a while ago, and everything that it ran is gone. */
  #restoreCopy(worker: SimWorker, forMs: number): void {
    const copy = worker.journal.copy();
    const before = worker.journal.meta.nextSeq;
    this.#ends.schedule.after(forMs + 20_000, () => {
      // What was written since, and heard of by nobody, a restored machine cannot know of: nobody promises anything then.
      if (worker.journal.meta.highestAck < before || worker.journal.meta.journal !== copy.meta.journal) return;
      worker.reboot();
      worker.journal.restore(copy);
      this.#ends.witness.putBack.add(worker.host.name);
      worker.start();
    });
  }

  #backLater(worker: SimWorker, delayMs: number): void {
    this.#ends.schedule.after(delayMs, () => worker.host.awake(() => this.#back(worker)));
  }

  #back(worker: SimWorker): void {
    worker.dieAt = undefined;
    worker.start();
  }

  /** Everything works from now on. */
  heal(): void {
    const { broker, database, managers, workers } = this.#ends;
    this.#ends.trace.tell(() => "everything heals");
    broker.weather = { loss: 0, repeat: 0, maxDelayMs: 10 };
    broker.downUntilMs = 0;
    database.weather = calm;
    database.downUntilMs = 0;
    for (const manager of managers) {
      manager.dieAt = undefined;
      manager.cutUntilMs = 0;
      this.#noDatabase(manager, 0);
      manager.start();
    }
    for (const worker of workers) {
      worker.cutUntilMs = 0;
      worker.journal.full = "no";
      worker.host.noRoom = false;
      worker.host.awake(() => this.#back(worker));
    }
  }
}
