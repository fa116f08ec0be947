/**
 * A manager played by hand, for tests of the worker alone: a real embedded broker, and somebody who answers hellos with a
 * sync, keeps the newest mono as asOf, applies reports once and in order, and stores logs, until a test tells it otherwise.
 */
import { startEmbeddedBroker, type EmbeddedBroker } from "../../broker/embedded.ts";
import type { Connection } from "../../broker/broker.ts";
import { managerUsername } from "../../schema/ids.ts";
import { silentLog } from "../../schema/kit/log.ts";
import type { DownItem, Heartbeat, Hello, Logs, Report, StartItem, Status } from "../../schema/messages.ts";
import { commandsTopic, parseUplinkTopic, uplinkFilter } from "../../schema/topics.ts";
import { ManagerStore } from "../worker/logs/manager-store.ts";
import { until } from "./until.ts";

const prefix = "muster";

export class HandManager implements AsyncDisposable {
  readonly logs = new ManagerStore();
  readonly hellos: Hello[] = [];
  readonly heartbeats: Heartbeat[] = [];
  readonly statuses: Status[] = [];
  /** Every report that came, repeated ones too. */
  readonly heard: Report[] = [];
  /** Reports applied, once each and in order of seq. */
  readonly applied: Report[] = [];
  /** Whether reports and logs are acknowledged. */
  acks = true;
  /** What to answer a hello with; undefined: nothing. */
  answerHello: (hello: Hello) => DownItem | undefined = (hello) => this.sync(hello);
  term = 1;
  heartbeatMs = 500;
  /** Long: whoever stands still for a while has no stale start, which nobody here would send again. */
  startTtlMs = 60_000;
  workerLostMs = 10_000;
  readonly port: number;
  readonly #broker: EmbeddedBroker;
  readonly #worker: string;
  #connection: Connection | undefined;
  #asOf: { readonly epoch: string; readonly mono: number } | undefined;
  #journal = "";
  #seq = 0;

  private constructor(broker: EmbeddedBroker, worker: string) {
    this.#broker = broker;
    this.#worker = worker;
    this.port = broker.port;
  }

  /** Listens on a port of 127.0.0.1; the worker's password is `password of <id>`. */
  static async start(worker: string, port = 0): Promise<HandManager> {
    const credentials = {
      verifyClient: (username: string, password: string) =>
        username === worker && password === `password of ${worker}` ? ({ pool: "default", role: "worker" } as const) : undefined,
    };
    const broker = await startEmbeddedBroker({ host: "127.0.0.1", port, credentials, prefix, log: silentLog() });
    const manager = new HandManager(broker, worker);
    const signal = new AbortController().signal;
    const take = (delivery: { readonly topic: string; readonly payload: Uint8Array }): void => manager.#take(delivery);
    manager.#connection = await broker.connector().connect({ clientId: managerUsername, take }, signal);
    await manager.#connection.subscribe(uplinkFilter(prefix, "default"));
    return manager;
  }

  get worker(): string {
    return this.#worker;
  }

  /** A start with everything that a test does not care about. */
  startItem(attempt: string, spec: Record<string, unknown>, more: Partial<StartItem> = {}): StartItem {
    return {
      kind: "start",
      attempt,
      run: `run-${attempt}`,
      number: 1,
      task: "task",
      version: 1,
      driver: String(spec["driver"]),
      spec: { args: [], stdin: null, workingDirectory: null, user: null, ...(spec as Record<string, string>) },
      env: { MUSTER_RUN_ID: `run-${attempt}`, MUSTER_ATTEMPT: "1" },
      timeoutSeconds: null,
      killGraceSeconds: 1,
      onLost: "wait",
      requires: { slots: 1, memoryMb: 0, cpus: 0 },
      limits: { logStreamBytes: 52_428_800, resultBytes: 10_485_760 },
      trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      ttlMs: this.startTtlMs,
      ...more,
    };
  }

  /** A script for sh. */
  script(attempt: string, script: string, more: Partial<StartItem> = {}): StartItem {
    return this.startItem(attempt, { driver: "script", interpreter: "sh", script, scriptBase64: null }, more);
  }

  sync(hello: Hello): DownItem {
    const keep = hello.inventory.items.filter((item) => item.state !== "ended").map((item) => item.attempt);
    const settings = { version: 1, heartbeatMs: this.heartbeatMs, startTtlMs: this.startTtlMs, workerLostMs: this.workerLostMs };
    return {
      kind: "sync",
      epoch: hello.epoch,
      connection: hello.connection,
      keep,
      stop: [],
      ack: { journal: this.#journal, seq: this.#seq },
      settings,
    };
  }

  async send(...items: readonly DownItem[]): Promise<void> {
    const asOf = this.#asOf;
    if (!asOf) throw new Error("the worker has not been heard yet");
    await this.sendRaw(JSON.stringify({ v: 1, term: this.term, asOf, items }));
  }

  async sendRaw(payload: string | Uint8Array): Promise<void> {
    await this.#connection?.publish(commandsTopic(prefix, "default", this.#worker), Buffer.from(payload), { qos: 1 });
  }

  /** Waits until the worker is synced over its newest connection: a heartbeat with our settings has come. */
  async synced(): Promise<void> {
    const before = this.heartbeats.length;
    await until(
      "the worker to be synced",
      () => this.heartbeats.slice(before).some((beat) => beat.settingsVersion === 1),
      30_000,
    );
  }

  /** The report that carries the attempt's end. */
  async endOf(attempt: string, withinMs = 30_000): Promise<Report & { readonly end: NonNullable<Report["end"]> }> {
    const found = await until(
      `the end of ${attempt}`,
      () => this.applied.find((report) => report.attempt === attempt && report.kind === "end"),
      withinMs,
    );
    return found as Report & { readonly end: NonNullable<Report["end"]> };
  }

  async running(attempt: string): Promise<Report> {
    return await until(`${attempt} to run`, () =>
      this.applied.find((report) => report.attempt === attempt && report.kind === "running"),
    );
  }

  kinds(attempt: string): readonly string[] {
    return this.applied.filter((report) => report.attempt === attempt).map((report) => report.kind);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#broker.close();
  }

  #take({ topic, payload }: { readonly topic: string; readonly payload: Uint8Array }): void {
    const kind = parseUplinkTopic(prefix, topic)?.kind;
    const message = JSON.parse(Buffer.from(payload).toString()) as { readonly epoch: string; readonly mono: number };
    if (kind !== undefined && kind !== "status") this.#asOf = { epoch: message.epoch, mono: message.mono };
    switch (kind) {
      case "hello":
        this.#onHello(message as unknown as Hello);
        return;
      case "reports":
        this.#onReports(message as unknown as { readonly journal: string; readonly items: readonly Report[] });
        return;
      case "heartbeat":
        this.heartbeats.push(message as unknown as Heartbeat);
        return;
      case "logs":
        this.#onLogs(message as unknown as Logs);
        return;
      case "status":
        this.statuses.push(message as unknown as Status);
        return;
      case undefined:
        throw new Error(`a message on ${topic}`);
    }
  }

  #onHello(hello: Hello): void {
    this.hellos.push(hello);
    const [journal = ""] = hello.epoch.split(".");
    if (journal !== this.#journal) this.#seq = 0;
    this.#journal = journal;
    const answer = this.answerHello(hello);
    if (answer) void this.send(answer);
  }

  #onReports(message: { readonly journal: string; readonly items: readonly Report[] }): void {
    this.heard.push(...message.items);
    if (!this.acks) return;
    for (const report of message.items) {
      if (report.seq !== this.#seq + 1) continue;
      this.#seq = report.seq;
      this.applied.push(report);
    }
    void this.send({ kind: "ack", journal: message.journal, seq: this.#seq });
  }

  #onLogs(piece: Logs): void {
    if (!this.acks) return;
    const { gap, ...rest } = piece;
    const offset = this.logs.append(gap ? { ...rest, gap } : rest);
    void this.send({ kind: "logsAck", attempt: piece.attempt, stream: piece.stream, offset });
  }
}
