/** Clients that start runs as clients should: every start has a key, and is repeated with it until somebody says what became of it. */
import { setTimeout as pause } from "node:timers/promises";
import type { History } from "../history.ts";

/** What one request was told. `status` 0: the connection broke, or nobody answered in time. */
export interface Told {
  /** Milliseconds since the clients began. */
  readonly atMs: number;
  readonly status: number;
  /** The problem's code, or why there was no answer; empty with a 2xx. */
  readonly code: string;
  readonly run: string | null;
  /** The key that an `outcome-unknown` named. */
  readonly key: string | undefined;
  readonly retryAfter: string | null;
}

/** One start that a client wants, with everything that it was told of it. */
export interface Start {
  readonly tag: string;
  readonly key: string;
  readonly told: Told[];
  /** Its client took `not-taken` at its word and did not ask again. */
  gaveUp: boolean;
}

export interface ClientsPlan {
  readonly history: History;
  readonly token: string;
  readonly taskId: string;
  /** Where managers answer. A start begins at one of them by its number, and goes on to the next when it is not taken. */
  readonly urls: readonly string[];
  /** How long a client waits for one answer. */
  readonly patienceMs: number;
  /** What begins every tag of these clients. */
  readonly prefix: string;
  /** Whether the client of the start with this number takes a `not-taken` at its word. By default all ask again. */
  readonly givesUp?: (number: number) => boolean;
  /** Parameters of the start with this number. */
  readonly params?: (number: number) => Readonly<Record<string, string>>;
}

/** Between two tries of one start: doubling, by chance as with real clients, and never less than the answer asks for. */
const firstPauseMs = 300;
const longestPauseMs = 10_000;

export class Clients implements AsyncDisposable {
  readonly starts: Start[] = [];
  readonly #plan: ClientsPlan;
  readonly #beganMs = performance.now();
  readonly #open = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  /** Nobody insists any more. */
  readonly #gone = new AbortController();
  #pace: Promise<void> | undefined;

  constructor(plan: ClientsPlan) {
    this.#plan = plan;
  }

  get elapsedMs(): number {
    return performance.now() - this.#beganMs;
  }

  /** Begins to start `perSecond` runs a second, evenly; a late timer makes up for what it missed. */
  begin(perSecond: number): void {
    const from = this.elapsedMs;
    const { signal } = this.#closing;
    this.#pace = (async () => {
      for (let begun = 0; !signal.aborted;) {
        for (const due = ((this.elapsedMs - from) * perSecond) / 1_000; begun < due; begun += 1) this.start();
        await pause(20, undefined, { signal }).catch(() => undefined);
      }
    })();
  }

  /** Begins one start. */
  start(): Start {
    const number = this.starts.length;
    const tag = `${this.#plan.prefix}${number}`;
    const start: Start = { tag, key: `key-${tag}`, told: [], gaveUp: false };
    this.starts.push(start);
    const done = this.#insist(start, number).finally(() => this.#open.delete(done));
    this.#open.add(done);
    return start;
  }

  /** Runs that somebody said yes to. */
  accepted = 0;

  /** Begins nothing new, and settles when every start has been answered for good; false when that takes longer. */
  async finish(withinMs: number): Promise<boolean> {
    this.#closing.abort();
    await this.#pace;
    const enough = new AbortController();
    const late = pause(withinMs, "late", { signal: enough.signal }).catch(() => "late");
    const outcome = await Promise.race([Promise.all(this.#open), late]);
    enough.abort();
    return outcome !== "late";
  }

  /** Leaves everything as it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#gone.abort();
    await Promise.all([this.#pace, ...this.#open]);
  }

  async #insist(start: Start, number: number): Promise<void> {
    const { urls, givesUp } = this.#plan;
    let mayExist = false;
    for (let tries = 0; !this.#gone.signal.aborted; tries += 1) {
      const told = await this.#once(urls[(number + tries) % urls.length] as string, start, number);
      start.told.push(told);
      if (told.status === 202) this.accepted += 1;
      const again = told.status === 503 || told.status === 409 || told.status === 0;
      if (!again) return;
      // Only of a start that nobody can have taken does a `not-taken` say that it never will be.
      if (!mayExist && told.code === "not-taken" && givesUp?.(number) === true) {
        start.gaveUp = true;
        return;
      }
      mayExist ||= told.code !== "not-taken";
      const askedMs = 1_000 * Number(told.retryAfter ?? 0);
      const ownMs = Math.min(longestPauseMs, firstPauseMs * 2 ** tries) * (0.5 + Math.random());
      await pause(Math.max(askedMs, ownMs), undefined, { signal: this.#gone.signal }).catch(() => undefined);
    }
  }

  async #once(url: string, { tag, key }: Start, number: number): Promise<Told> {
    const { history, token, taskId, patienceMs, params } = this.#plan;
    const call = history.nextCall();
    history.note({ kind: "asked", call, starts: [{ tag, taskId, key }] });
    const at = (): number => Math.round(this.elapsedMs);
    try {
      const response = await fetch(`${url}/tasks/${taskId}/start`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "idempotency-key": key },
        body: JSON.stringify({ labels: { tag }, params: params?.(number) ?? {} }),
        signal: AbortSignal.any([AbortSignal.timeout(patienceMs), this.#gone.signal]),
      });
      const body = (await response.json()) as { id?: string; code?: string; idempotencyKey?: string };
      const { status } = response;
      const run = status === 202 ? String(body.id) : null;
      history.note({ kind: "answered", call, starts: [{ status, runId: run, code: body.code ?? null }] });
      const retryAfter = response.headers.get("retry-after");
      return { atMs: at(), status, code: body.code ?? "", run, key: body.idempotencyKey, retryAfter };
    } catch (error) {
      const code = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      history.note({ kind: "failed", call, why: code });
      return { atMs: at(), status: 0, code, run: null, key: undefined, retryAfter: null };
    }
  }
}
