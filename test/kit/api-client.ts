/** A client of the API for tests: calls with a token, and the few requests that nearly every test makes. */
import { until } from "./until.ts";

type HeaderTexts = Readonly<Record<string, string>>;

export interface Called {
  readonly status: number;
  /** Parsed when it is JSON, else text. */
  readonly body: any;
  readonly headers: Headers;
}

/** The attempts of a run that count as tries: one that was refused, such as by a worker that stood still for a while, did nothing. */
export function triesOf(run: any): any[] {
  return run.attempts.filter((attempt: any) => attempt.end?.how !== "refused");
}

export class ApiClient {
  readonly url: string;
  readonly token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.token = token;
  }

  /** One API call; rejects when nobody answers. */
  async call(method: string, path: string, body?: unknown, headers: HeaderTexts = {}): Promise<Called> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    return { status: response.status, body: isJson && text !== "" ? JSON.parse(text) : text, headers: response.headers };
  }

  /** Creates a task; throws with the problem when it cannot be. */
  async task(definition: Record<string, unknown>): Promise<string> {
    const made = await this.call("POST", "/tasks", definition);
    if (made.status !== 201) throw new Error(`POST /tasks: ${made.status} ${JSON.stringify(made.body)}`);
    return made.body.id as string;
  }

  /** Starts `count` runs of a task in one request and returns their ids. */
  async startRuns(taskId: string, count: number, more: Record<string, unknown> = {}): Promise<string[]> {
    const made = await this.call("POST", "/runs", { items: Array.from({ length: count }, () => ({ taskId, ...more })) });
    if (made.status !== 200) throw new Error(`POST /runs: ${made.status} ${JSON.stringify(made.body)}`);
    return made.body.items.map((item: { run?: { id: string }; problem?: unknown }) => {
      if (!item.run) throw new Error(`a start was refused: ${JSON.stringify(item.problem)}`);
      return item.run.id;
    });
  }

  async run(id: string): Promise<any> {
    return (await this.call("GET", `/runs/${id}`)).body;
  }

  /** Waits until the run is terminal and returns it. */
  async ended(id: string, withinMs = 60_000): Promise<any> {
    return await until(
      `run ${id} to be terminal`,
      async () => {
        const run = (await this.call("GET", `/runs/${id}?waitSeconds=5`)).body;
        return run.endedAt ? run : undefined;
      },
      withinMs,
    );
  }
}
