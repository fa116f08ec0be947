/** A client of a system under test that writes down what it asked and what it was told. */
import { setTimeout as pause } from "node:timers/promises";
import type { AnsweredStart, AskedStart, History, ReadRun } from "./history.ts";

export interface Answer {
  readonly status: number;
  readonly body: any;
  readonly headers: Headers;
}

/** One start to be asked for. */
export interface Start {
  readonly taskId: string;
  /** Unique in the history. */
  readonly tag: string;
  readonly key?: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly workerId?: string;
}

export interface ClientPlan {
  readonly history: History;
  readonly token: string;
  /** Where the API is; asked anew for each request, so that it may be another manager each time. */
  readonly address: () => string;
  /** After so long nobody will answer any more. */
  readonly withinMs?: number;
}

/** Runs of one page. */
const page = 200;

export class Client {
  readonly #plan: ClientPlan;

  constructor(plan: ClientPlan) {
    this.#plan = plan;
  }

  /** One request, not written down. Rejects when nobody answers. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
    withinMs = this.#plan.withinMs ?? 20_000,
  ): Promise<Answer> {
    const response = await fetch(`${this.#plan.address()}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#plan.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      signal: AbortSignal.timeout(withinMs),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    return { status: response.status, body: isJson && text !== "" ? JSON.parse(text) : text, headers: response.headers };
  }

  /** The same, tried again until somebody answers with something other than 503; for what repeats without harm. */
  async get(path: string): Promise<Answer> {
    for (;;) {
      // Soon somebody else is asked: the one that was may stand still.
      const answer = await this.call("GET", path, undefined, {}, 5_000).catch(() => undefined);
      if (answer && answer.status !== 503) return answer;
      await pause(50);
    }
  }

  /** Makes a task, as soon as somebody takes it; throws with the problem when it cannot be. */
  async task({ name, pool = "default", ...definition }: Readonly<Record<string, unknown>>): Promise<string> {
    const path = `/tasks/by-name/${String(name)}?pool=${String(pool)}`;
    for (;;) {
      // By its name, so that it is the same task when the answer to an earlier try was lost.
      const made = await this.call("PUT", path, definition).catch(() => undefined);
      if (made && made.status < 300) return made.body.id as string;
      if (made && made.status !== 503) throw new Error(`PUT ${path}: ${made.status} ${JSON.stringify(made.body)}`);
      await pause(50);
    }
  }

  /** Asks once for one run and writes down both. Rejects when nobody answers. */
  async start(start: Start): Promise<AnsweredStart> {
    const { history } = this.#plan;
    const call = history.nextCall();
    history.note({ kind: "asked", call, starts: [askedOf(start)] });
    try {
      const body = { labels: { tag: start.tag }, params: start.params ?? {}, workerId: start.workerId ?? null };
      const headers: Record<string, string> = start.key === undefined ? {} : { "idempotency-key": start.key };
      const { status, body: told } = await this.call("POST", `/tasks/${start.taskId}/start`, body, headers);
      const answered = { status, runId: status < 300 ? told.id : null, code: status < 300 ? null : (told.code ?? null) };
      history.note({ kind: "answered", call, starts: [answered] });
      return answered;
    } catch (error) {
      history.note({ kind: "failed", call, why: sentenceOf(error) });
      throw error;
    }
  }

  /** Asks until there is a 2xx, with the same key each time; the run's id. `start` needs a key. */
  async startSurely(start: Start & { readonly key: string }): Promise<string> {
    for (;;) {
      const answer = await this.start(start).catch(() => undefined);
      if (answer && answer.runId !== null) return answer.runId;
      // Not yet there, or not to be had just now. What cannot be at all is a mistake of the scenario.
      if (answer && answer.status < 500 && answer.status !== 409 && answer.status !== 429)
        throw new Error(`start ${start.tag} was answered ${answer.status} ${answer.code}`);
      await pause(50);
    }
  }

  /** Asks once for many runs in one request (`POST /runs`) and writes down what became of each. Rejects when nobody answers. */
  async startMany(starts: readonly Start[]): Promise<readonly AnsweredStart[]> {
    const { history } = this.#plan;
    const call = history.nextCall();
    history.note({ kind: "asked", call, starts: starts.map(askedOf) });
    try {
      const items = starts.map(({ taskId, tag, key, params, workerId }) => ({
        taskId,
        labels: { tag },
        params: params ?? {},
        workerId: workerId ?? null,
        idempotencyKey: key ?? null,
      }));
      const { status, body } = await this.call("POST", "/runs", { items });
      const answered: AnsweredStart[] =
        status === 200
          ? body.items.map((item: any) => ({
              status: item.status,
              runId: item.run?.id ?? null,
              code: item.problem?.code ?? null,
            }))
          : starts.map(() => ({ status, runId: null, code: body.code ?? null }));
      history.note({ kind: "answered", call, starts: answered });
      return answered;
    } catch (error) {
      history.note({ kind: "failed", call, why: sentenceOf(error) });
      throw error;
    }
  }

  /** Asks for many runs, and again for those that nobody has taken, with the same key each time; the runs' ids, in order. */
  async startManySurely(starts: readonly Start[]): Promise<readonly string[]> {
    const runs = new Map<string, string>();
    for (;;) {
      const left = starts.filter(({ tag }) => !runs.has(tag)).map((start) => ({ ...start, key: start.key ?? start.tag }));
      if (left.length === 0) return starts.map(({ tag }) => runs.get(tag) ?? "");
      const answers = await this.startMany(left).catch(() => []);
      for (const [index, { status, code, runId }] of answers.entries()) {
        const { tag = "" } = left[index] ?? {};
        if (runId !== null) runs.set(tag, runId);
        else if (status < 500 && status !== 409 && status !== 429) throw new Error(`start ${tag} was answered ${status} ${code}`);
      }
      await pause(50);
    }
  }

  /** The run as the API has it now, written down; undefined when it is not there. Tried until somebody answers. */
  async read(runId: string, waitSeconds = 0): Promise<ReadRun | undefined> {
    const { status, body } = await this.get(`/runs/${runId}${waitSeconds > 0 ? `?waitSeconds=${waitSeconds}` : ""}`);
    if (status !== 200) return undefined;
    const run = readOf(body);
    this.#plan.history.note({ kind: "read", run });
    return run;
  }

  /** Reads every run that there is and writes them down, as the last word. */
  async readAll(): Promise<readonly ReadRun[]> {
    const runs: ReadRun[] = [];
    for (let path: string | undefined = `/runs?limit=${page}`; path !== undefined;) {
      const { body } = await this.get(path);
      const read = await Promise.all(body.items.map((item: { id: string }) => this.read(item.id)));
      runs.push(...read.filter((run) => run !== undefined));
      path = body.next === null ? undefined : `/runs?limit=${page}&cursor=${encodeURIComponent(body.next)}`;
    }
    this.#plan.history.note({ kind: "listing", runIds: runs.map(({ id }) => id) });
    return runs;
  }
}

function askedOf({ tag, taskId, key }: Start): AskedStart {
  return { tag, taskId, key: key ?? null };
}

function readOf({ id, taskId, state, end, labels, workerId, attempts }: any): ReadRun {
  return {
    id,
    taskId,
    state,
    end,
    labels,
    workerId,
    attempts: attempts.map(({ id, number, workerId, state, end }: any) => ({ id, number, workerId, state, end })),
  };
}

function sentenceOf(error: unknown): string {
  return error instanceof Error
    ? `${error.message}${error.cause instanceof Error ? `: ${error.cause.message}` : ""}`
    : String(error);
}
