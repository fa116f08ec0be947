/** A real Prometheus on the configuration and the rules of deploy/prometheus, with all times divided by one number. */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parse, stringify } from "yaml";
import { freePorts } from "./ports.ts";
import { until } from "./until.ts";

export const deployed = resolve(import.meta.dirname, "../../deploy/prometheus");

/** Why tests with Prometheus are skipped here; undefined where it is installed. */
export const noPrometheus =
  spawnSync("prometheus", ["--version"]).error || spawnSync("promtool", ["--version"]).error
    ? "prometheus and promtool are not installed here (apt-get install prometheus)"
    : undefined;

/** One `promtool` command; everything it said, and whether it was content. */
export function promtool(args: readonly string[], input?: string): { readonly ok: boolean; readonly said: string } {
  const done = spawnSync("promtool", args, { encoding: "utf8", ...(input === undefined ? {} : { input }) });
  return { ok: done.status === 0, said: `${done.stdout}${done.stderr}` };
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** A duration of Prometheus, such as `1m30s`, divided. */
export function divided(duration: string, by: number): string {
  const ms = Array.from(duration.matchAll(/(\d+)(ms|s|m|h)/g), ([, n, unit]) => Number(n) * (unitMs[unit as string] as number));
  return `${Math.max(1, Math.round(ms.reduce((sum, each) => sum + each, 0) / by))}ms`;
}

/**
 * The rules of alerts.yml on a clock that runs `by` times as fast: the expressions are the same but for their windows, and each window
 * and each `for` is divided by the same number as the scrapes and the heartbeats are. So a rule sees as many samples of as many beats
 * as it does in earnest.
 */
export function fasterRules(text: string, by: number): string {
  return text
    .replaceAll(/(^\s+for: )(\S+)$/gm, (_, key: string, duration: string) => `${key}${divided(duration, by)}`)
    .replaceAll(/\[(\d[0-9a-z]*)\]/g, (_, duration: string) => `[${divided(duration, by)}]`);
}

interface PrometheusConfig {
  global: { scrape_interval: string; evaluation_interval: string };
  scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
}

export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly state: "pending" | "firing";
}

export class Prometheus implements AsyncDisposable {
  readonly url: string;
  readonly #folder: string;
  readonly #end: () => Promise<void>;
  #log: string | undefined;

  private constructor(url: string, folder: string, end: () => Promise<void>) {
    this.url = url;
    this.#folder = folder;
    this.#end = end;
  }

  /** `targets` of each job; `by`: how many times as fast as in earnest. */
  static async start(targets: Readonly<Record<string, string[]>>, token: string, by: number): Promise<Prometheus> {
    const folder = mkdtempSync(join(tmpdir(), "muster-prometheus-"));
    const config = parse(readFileSync(join(deployed, "prometheus.yml"), "utf8")) as PrometheusConfig;
    for (const key of ["scrape_interval", "evaluation_interval"] as const) config.global[key] = divided(config.global[key], by);
    for (const job of config.scrape_configs) job.static_configs = [{ targets: targets[job.job_name] ?? [] }];
    writeFileSync(join(folder, "prometheus.yml"), stringify(config));
    writeFileSync(join(folder, "alerts.yml"), fasterRules(readFileSync(join(deployed, "alerts.yml"), "utf8"), by));
    writeFileSync(join(folder, "muster.token"), `${token}\n`, { mode: 0o600 });
    const [port] = await freePorts(1);
    const log = openSync(join(folder, "log"), "a");
    const child = spawn(
      "prometheus",
      [
        `--config.file=${join(folder, "prometheus.yml")}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: ["ignore", log, log] },
    );
    closeSync(log);
    const gone = new Promise<void>((done) => child.once("exit", () => done()));
    const prometheus = new Prometheus(`http://127.0.0.1:${port}`, folder, async () => {
      child.kill("SIGKILL");
      await gone;
      rmSync(folder, { recursive: true, force: true });
    });
    try {
      await until(
        "Prometheus to be ready",
        async () => (await fetch(`${prometheus.url}/-/ready`).catch(() => undefined))?.ok,
        60_000,
      );
    } catch (error) {
      await prometheus[Symbol.asyncDispose]();
      throw new Error(`Prometheus did not start:\n${prometheus.log}`, { cause: error });
    }
    return prometheus;
  }

  /** What it said; also after its end. */
  get log(): string {
    return this.#log ?? readFileSync(join(this.#folder, "log"), "utf8");
  }

  /** The value of an expression that gives one series; undefined while it gives none. */
  async value(expr: string): Promise<number | undefined> {
    const answer = await this.#get(`query?query=${encodeURIComponent(expr)}`);
    const [first] = answer.result as { value: [number, string] }[];
    return first && Number(first.value[1]);
  }

  async alerts(): Promise<readonly Alert[]> {
    return (await this.#get("alerts")).alerts as Alert[];
  }

  async #get(path: string): Promise<any> {
    const response = await fetch(`${this.url}/api/v1/${path}`);
    const body = (await response.json()) as { status: string; data: unknown; error?: string };
    if (body.status !== "success") throw new Error(`Prometheus: ${body.error}`);
    return body.data;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#log = this.log;
    await this.#end();
  }
}
