/** Clients that start runs as clients should: every start has a key, and is repeated with it until somebody says what became of it. */
import { setTimeout as pause } from "node:timers/promises";

/** What one request was told. `status` 0: the connection broke, or nobody answered in time. */
export interface Told {
  /** Milliseconds since the clients began. */
  readonly atMs: number;
  readonly url: string;
  readonly status: number;
  /** The problem's code, or why there was no answer. */
  readonly code: string;
  readonly run: string | undefined;
  /** The key that an `outcome-unknown` named. */
  readonly key: string | undefined;
}

/** One start that a client wants, with everything that it was told of it. */
export interface Start {
  /** The task's parameter `call`: what ties the request to the row and to the witness. */
  readonly call: string;
  readonly key: string;
  readonly told: Told[];
  /** Set by a client that takes `not-taken` at its word and does not ask again. */
  gaveUp: boolean;
}

export interface ClientOptions {
  readonly token: string;
  readonly taskId: string;
  /** Where managers answer; a start begins at one of them by its number, and goes on to the next when it is not taken. */
  readonly urls: readonly string[];
  /** How long a client waits for one answer. */
  readonly patienceMs: number;
  /** What to do with a `not-taken`: ask again with the same key, or take it at its word. */
  readonly afterNotTaken?: (call: string) => "repeat" | "giveUp";
  /** What begins every `call` of these clients. */
  readonly prefix?: string;
}

/** Between two tries of one start: also when a manager asks for a longer pause. */
const betweenTriesMs = 300;

export class Clients {
  readonly starts: Start[] = [];
  readonly #options: ClientOptions;
  readonly #beganMs = performance.now();
  readonly #open = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #pace: Promise<void> | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  get elapsedMs(): number {
    return performance.now() - this.#beganMs;
  }

  /** Begins to start `perSecond` runs a second, evenly; a late timer makes up for what it missed. */
  begin(perSecond: number): void {
    const from = this.elapsedMs;
    this.#pace = (async () => {
      for (let begun = 0; !this.#closing.signal.aborted;) {
        const due = ((this.elapsedMs - from) * perSecond) / 1_000;
        for (; begun < due; begun += 1) this.start();
        await pause(20, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      }
    })();
  }

  /** Begins one start; it is repeated until it is taken for certain. */
  start(): Start {
    const { prefix = "c" } = this.#options;
    const call = `${prefix}${this.starts.length}`;
    const start: Start = { call, key: `key-${call}`, told: [], gaveUp: false };
    this.starts.push(start);
    const done = this.#insist(start, this.starts.length).finally(() => this.#open.delete(done));
    this.#open.add(done);
    return start;
  }

  /** Starts that nobody has said yes to yet. */
  get open(): number {
    return this.#open.size;
  }

  /** Begins nothing new. */
  async stop(): Promise<void> {
    this.#closing.abort();
    await this.#pace;
  }

  /** Settles when every start that was begun has been taken, or its client took `not-taken` at its word. */
  async settled(withinMs: number): Promise<boolean> {
    const enough = new AbortController();
    const late = pause(withinMs, "late", { signal: enough.signal }).catch(() => "late");
    const outcome = await Promise.race([Promise.all(this.#open), late]);
    enough.abort();
    return outcome !== "late";
  }

  async #insist(start: Start, number: number): Promise<void> {
    const { urls, afterNotTaken } = this.#options;
    let repeating = false;
    for (let tries = 0; ; tries += 1) {
      const told = await this.#once(urls[(number + tries) % urls.length] as string, start);
      start.told.push(told);
      if (told.status === 202) return;
      if (told.status !== 503 && told.status !== 409 && told.status !== 0) return;
      // Only of a start that was never asked for before does a `not-taken` say that nothing happened.
      if (!repeating && told.code === "not-taken" && afterNotTaken?.(start.call) === "giveUp") {
        start.gaveUp = true;
        return;
      }
      repeating ||= told.code !== "not-taken";
      await pause(betweenTriesMs);
    }
  }

  async #once(url: string, start: Start): Promise<Told> {
    const { token, taskId, patienceMs } = this.#options;
    const tell = (status: number, code: string, body: { id?: string; idempotencyKey?: string } = {}): Told => ({
      atMs: Math.round(this.elapsedMs),
      url,
      status,
      code,
      run: body.id,
      key: body.idempotencyKey,
    });
    try {
      const response = await fetch(`${url}/tasks/${taskId}/start`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "idempotency-key": start.key },
        body: JSON.stringify({ params: { call: start.call } }),
        signal: AbortSignal.timeout(patienceMs),
      });
      const body = (await response.json()) as { id?: string; code?: string; idempotencyKey?: string };
      return tell(response.status, response.status === 202 ? "" : String(body.code), body);
    } catch (error) {
      return tell(0, error instanceof Error ? `${error.name}: ${error.message}` : String(error));
    }
  }
}

/** How often each kind of answer came, as `202`, `503 not-taken`, `no answer`. */
export function countAnswers(starts: readonly Start[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { told } of starts) {
    for (const { status, code } of told) {
      const name = status === 0 ? "no answer" : `${status} ${code}`.trim();
      counts[name] = (counts[name] ?? 0) + 1;
    }
  }
  return counts;
}

/** The longest time in which no client was told 202, and when it began; from the first 202 to the last. */
export function longestGap(starts: readonly Start[]): { readonly ms: number; readonly fromMs: number } {
  const yes = starts
    .flatMap(({ told }) => told.filter(({ status }) => status === 202).map(({ atMs }) => atMs))
    .toSorted((a, b) => a - b);
  let longest = { ms: 0, fromMs: yes[0] ?? 0 };
  for (const [i, atMs] of yes.entries()) {
    const fromMs = yes[i - 1] ?? atMs;
    if (atMs - fromMs > longest.ms) longest = { ms: atMs - fromMs, fromMs };
  }
  return longest;
}
