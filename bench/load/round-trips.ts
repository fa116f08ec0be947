/** Round trips at a given pace: each begins when it is due, whatever became of the ones before (no coordinated omission). */
import { hostMs } from "../kit/cpu.ts";
import { LeanConnection, requestBytes } from "./connection.ts";

export interface RoundTrips {
  readonly url: string;
  readonly token: string;
  readonly taskId: string;
  readonly perSecond: number;
  readonly count: number;
}

export interface RoundTripsDone {
  /** From the instant at which each POST was due to its end known at the client, milliseconds. */
  readonly latencies: readonly number[];
}

/** `POST /tasks/{id}/start`, then `GET /runs/{id}?waitSeconds=30`, `count` times; rejects when a run does not succeed. */
export async function roundTrips(ask: RoundTrips): Promise<RoundTripsDone> {
  const { url, token, taskId, perSecond, count } = ask;
  const start = requestBytes(url, token, "POST", `/tasks/${taskId}/start`, {});
  const idle: LeanConnection[] = await Promise.all(Array.from({ length: 16 }, () => LeanConnection.open(url)));
  const latencies: number[] = [];
  const one = async (dueMs: number): Promise<void> => {
    const connection = idle.pop() ?? (await LeanConnection.open(url));
    const started = await connection.request(start);
    if (started.status !== 202) throw new Error(`a start was answered ${started.status}: ${started.body.slice(0, 500)}`);
    const { id } = JSON.parse(started.body) as { id: string };
    const ended = await connection.request(requestBytes(url, token, "GET", `/runs/${id}?waitSeconds=30`));
    const run = JSON.parse(ended.body) as { state: string };
    if (run.state !== "succeeded") throw new Error(`run ${id} is ${run.state}, not succeeded`);
    latencies.push(hostMs() - dueMs);
    idle.push(connection);
  };
  const begunMs = hostMs() + 20;
  const all: Promise<void>[] = [];
  for (let n = 0; n < count; n += 1) {
    const dueMs = begunMs + (n * 1_000) / perSecond;
    await until(dueMs);
    all.push(one(dueMs));
  }
  await Promise.all(all);
  for (const connection of idle) connection.close();
  return { latencies };
}

/** Timers come up to a millisecond late, which would be a third of what is measured: the last stretch is spun. */
async function until(dueMs: number): Promise<void> {
  const restMs = dueMs - hostMs();
  if (restMs > 2) await new Promise((done) => setTimeout(done, restMs - 2));
  while (hostMs() < dueMs) await new Promise((done) => setImmediate(done));
}
