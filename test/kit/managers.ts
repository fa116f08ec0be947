/**
 * Several real managers, as processes, on one MariaDB database and one broker; workers as processes too.
 *
 *     await using server = await MariadbServer.start();                 // one each per test file
 *     await using broker = await startMosquitto({ workers: ["a"] });
 *     await using fleet = await Managers.start({ server, broker }, ["m1", "m2"]);
 *     await fleet.startWorker("a");
 *     await fleet.leader();                                              // "m1" or "m2", once somebody leads
 *     await fleet.at("m2").call("POST", `/tasks/${id}/start`, {});      // one manager
 *     await fleet.client.call("GET", "/runs");                          // whichever the front chooses
 *     await fleet.kill("m1"); fleet.pause("m2"); fleet.resume("m2"); await fleet.startManager("m1");
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addToken } from "../../broker/credentials.ts";
import { ApiClient } from "./api-client.ts";
import { Front } from "./front.ts";
import type { MariadbServer } from "./mariadb.ts";
import { Members, type Env, type Member } from "./members.ts";
import { freePorts } from "./ports.ts";
import { sweep } from "./sweep.ts";
import { until } from "./until.ts";

export interface ManagersOn {
  readonly server: Pick<MariadbServer, "database">;
  /** Such as `startMosquitto` gives; it knows the passwords of the workers that are to come. */
  readonly broker: { readonly port: number; password(username: string): string };
  /** Instead of an empty database of `server`: such as one behind a proxy. */
  readonly databaseUrl?: string;
  /** For every manager and every worker. */
  readonly env?: Env;
}

interface Seat {
  readonly port: number;
  readonly client: ApiClient;
  member: Member | undefined;
  paused: boolean;
}

/** A lease that stands still is taken no sooner than in earnest: a leader that a busy host stops for seconds goes on leading. */
const quick: Env = { MUSTER_HEARTBEAT_MS: "5000", MUSTER_LEASE_RENEW_MS: "200", MUSTER_LEASE_STILL_MS: "6000" };

export class Managers implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "muster-managers-"));
  readonly witness = join(this.folder, "witness");
  readonly databaseUrl: string;
  readonly token: string;
  /** Asks whichever manager the front chooses. */
  readonly client: ApiClient;
  readonly front: Front;
  readonly #on: ManagersOn;
  readonly #members = new Members(this.folder);
  readonly #seats = new Map<string, Seat>();

  private constructor(on: ManagersOn, databaseUrl: string, front: Front) {
    this.#on = on;
    this.databaseUrl = databaseUrl;
    this.front = front;
    this.token = addToken(this.#credentials, { name: "tester" });
    this.client = new ApiClient(front.url, this.token);
  }

  /** Managers of these names, with `each`'s settings besides, all up and one of them leading every pool it was given. */
  static async start(on: ManagersOn, names: readonly string[], each: Readonly<Record<string, Env>> = {}): Promise<Managers> {
    const managers = new Managers(on, on.databaseUrl ?? (await on.server.database()), await Front.listen());
    try {
      for (const name of names) await managers.startManager(name, each[name]);
      await managers.leader();
      return managers;
    } catch (error) {
      await managers[Symbol.asyncDispose]();
      throw error;
    }
  }

  get #credentials(): string {
    return join(this.folder, "credentials.json");
  }

  /** Starts one, again when it ran before, on the port and folder that are its own; resolves when it answers. */
  async startManager(name: string, env: Env = {}): Promise<void> {
    const seat = this.#seats.get(name) ?? (await this.#newSeat(name));
    const member = this.#members.spawn(name, ["manager/main.ts"], {
      ...quick,
      ...this.#on.env,
      MUSTER_DATA_DIR: join(this.folder, name),
      MUSTER_HTTP_PORT: String(seat.port),
      MUSTER_MANAGER_URL: this.front.url,
      MUSTER_DATABASE_URL: this.databaseUrl,
      MUSTER_BROKER_URL: `mqtt://127.0.0.1:${this.#on.broker.port}`,
      MUSTER_BROKER_PASSWORD: this.#on.broker.password("manager"),
      ...env,
    });
    seat.member = member;
    seat.paused = false;
    await this.#members.whileAlive(member, `manager ${name} to answer`, async () => {
      const response = await fetch(`${seat.client.url}/livez`).catch(() => undefined);
      return response?.ok === true;
    });
    this.front.add(seat.port);
  }

  async #newSeat(name: string): Promise<Seat> {
    const [port = 0] = await freePorts(1);
    mkdirSync(join(this.folder, name), { mode: 0o700 });
    copyFileSync(this.#credentials, join(this.folder, name, "credentials.json"));
    const seat: Seat = {
      port,
      client: new ApiClient(`http://127.0.0.1:${port}`, this.token),
      member: undefined,
      paused: false,
    };
    this.#seats.set(name, seat);
    return seat;
  }

  /** A client of this very manager. */
  at(name: string): ApiClient {
    return this.#seat(name).client;
  }

  /** The process, for signals and what the kernel says of it; throws when it does not run. */
  member(name: string): Member {
    const { member } = this.#seat(name);
    if (!member) throw new Error(`manager ${name} does not run`);
    return member;
  }

  log(name: string): string {
    return readFileSync(join(this.folder, `${name}.log`), "utf8");
  }

  /** The name of the manager that says it leads the pool, once one that runs does. */
  async leader(pool = "default"): Promise<string> {
    return await until(`somebody to lead the pool ${pool}`, () => this.#leaderNow(pool), 30_000);
  }

  /** Another that runs than the one that leads. */
  async follower(pool = "default"): Promise<string> {
    const leader = await this.leader(pool);
    const other = this.#running().find((name) => name !== leader);
    if (other === undefined) throw new Error(`nobody runs beside ${leader}`);
    return other;
  }

  #running(): string[] {
    return [...this.#seats].flatMap(([name, seat]) => (seat.member && !seat.paused ? [name] : []));
  }

  async #leaderNow(pool: string): Promise<string | undefined> {
    for (const name of this.#running()) {
      const health = await this.at(name)
        .call("GET", "/health")
        .catch(() => undefined);
      const checks: { name: string; status: string; sentence: string }[] = health?.body.checks ?? [];
      const check = checks.find((one) => one.name === `leader:${pool}`);
      if (check?.status === "pass" && check.sentence.startsWith("leads with term")) return name;
    }
    return undefined;
  }

  /** Ends one, by default without a chance to say anything, and takes it from behind the front. */
  async kill(name: string, signal: NodeJS.Signals = "SIGKILL"): Promise<number | string> {
    const seat = this.#seat(name);
    const member = this.member(name);
    seat.member = undefined;
    this.front.leaveOut(seat.port);
    return await this.#members.kill(member, signal);
  }

  /** SIGSTOP. The front leaves it out, as a proxy's checks would, unless `stays`. */
  pause(name: string, { stays = false }: { readonly stays?: boolean } = {}): void {
    const seat = this.#seat(name);
    this.member(name).process.kill("SIGSTOP");
    seat.paused = true;
    if (!stays) this.front.leaveOut(seat.port);
  }

  resume(name: string): void {
    const seat = this.#seat(name);
    this.member(name).process.kill("SIGCONT");
    seat.paused = false;
    this.front.add(seat.port);
  }

  /** Starts a worker, whose bodies go through the front, and waits until it is online. */
  async startWorker(id: string, env: Env = {}): Promise<Member> {
    const member = this.spawnWorker(id, env);
    await this.#members.whileAlive(member, `worker ${id} to be online`, async () => {
      const worker = await this.client.call("GET", `/workers/${id}`).catch(() => undefined);
      return worker?.status === 200 && worker.body.state === "online";
    });
    return member;
  }

  spawnWorker(id: string, env: Env = {}): Member {
    return this.#members.spawn(`worker-${id}`, ["worker/main.ts"], {
      ...quick,
      ...this.#on.env,
      MUSTER_DATA_DIR: join(this.folder, `worker-${id}`),
      MUSTER_WORKER_ID: id,
      MUSTER_BROKER_URL: `mqtt://127.0.0.1:${this.#on.broker.port}`,
      MUSTER_BROKER_PASSWORD: this.#on.broker.password(id),
      MUSTER_MANAGER_URL: this.front.url,
      ...env,
    });
  }

  async killMember(member: Member, signal: NodeJS.Signals = "SIGKILL"): Promise<number | string> {
    return await this.#members.kill(member, signal);
  }

  /** Lines of the witness file, in the order in which the tasks appended them. */
  witnessLines(): string[] {
    try {
      return readFileSync(this.witness, "utf8")
        .split("\n")
        .filter((line) => line !== "");
    } catch {
      return []; // Nobody has written it yet.
    }
  }

  #seat(name: string): Seat {
    const seat = this.#seats.get(name);
    if (!seat) throw new Error(`there is no manager ${name}; there are ${[...this.#seats.keys()].join(", ")}`);
    return seat;
  }

  /** Ends everything, the tasks' processes too, and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#members.killAll();
    await this.front[Symbol.asyncDispose]();
    sweep(this.folder);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}
