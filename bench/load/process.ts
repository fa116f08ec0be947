/** The load generator's process: posts starts as fast as the connections allow, or at a given pace. */
import { answer } from "../kit/answering.ts";
import { hostMs } from "../kit/cpu.ts";
import { LeanConnection, requestBytes, type Answer } from "./connection.ts";
import { roundTrips, type RoundTrips } from "./round-trips.ts";

export interface Target {
  readonly url: string;
  readonly token: string;
  readonly taskId: string;
}

export interface Flood extends Target {
  readonly connections: number;
  /** Starts in one POST; 1: `POST /tasks/{id}/start`, more: `POST /runs`. */
  readonly perPost: number;
  /** New POSTs are sent for this long; those under way are waited for. */
  readonly forMs: number;
  /** At most this many POSTs. */
  readonly posts?: number;
}

export interface Flooded {
  /** Runs that were accepted. */
  readonly accepted: number;
  readonly posts: number;
  /** When the first POST was sent and the last was answered, on the host's clock. */
  readonly fromMs: number;
  readonly toMs: number;
  /** The first POST by the wall clock, which is also the manager's. */
  readonly fromWallMs: number;
}

/** Floods; rejects at the first answer that is not what it should be. */
async function flood(ask: Flood): Promise<Flooded> {
  const { url, token, taskId, connections, perPost, forMs, posts: most = Number.POSITIVE_INFINITY } = ask;
  const request =
    perPost === 1
      ? requestBytes(url, token, "POST", `/tasks/${taskId}/start`, {})
      : requestBytes(url, token, "POST", "/runs", { items: Array.from({ length: perPost }, () => ({ taskId })) });
  const opened = await Promise.all(Array.from({ length: connections }, () => LeanConnection.open(url)));
  const fromMs = hostMs();
  const fromWallMs = Date.now();
  let posts = 0;
  let accepted = 0;
  const lane = (connection: LeanConnection): Promise<void> =>
    new Promise((resolve, reject) => {
      const next = (): void => {
        if (posts >= most || hostMs() - fromMs >= forMs) return resolve();
        posts += 1;
        connection.send(request, take, reject);
      };
      const take = (got: Answer): void => {
        const runs = acceptedIn(got, perPost);
        if (runs !== perPost)
          return reject(new Error(`${perPost - runs} of ${perPost} starts refused: ${got.status} ${got.body.slice(0, 500)}`));
        accepted += runs;
        next();
      };
      next();
    });
  await Promise.all(opened.map(lane));
  const toMs = hostMs();
  for (const connection of opened) connection.close();
  return { accepted, posts, fromMs, toMs, fromWallMs };
}

function acceptedIn({ status, body }: Answer, perPost: number): number {
  if (perPost === 1) return status === 202 ? 1 : 0;
  if (status !== 200) return 0;
  let found = 0;
  for (let at = body.indexOf('"status":202'); at >= 0; at = body.indexOf('"status":202', at + 12)) found += 1;
  return found;
}

export interface Reads {
  readonly url: string;
  readonly token: string;
  /** Asked for in turns. */
  readonly paths: readonly string[];
  readonly count: number;
}

/** GETs one after the other over one connection; milliseconds of each. Rejects at the first answer that is not 200. */
async function reads({ url, token, paths, count }: Reads): Promise<readonly number[]> {
  const connection = await LeanConnection.open(url);
  const requests = paths.map((path) => requestBytes(url, token, "GET", path));
  const took: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const fromMs = hostMs();
    const { status, body } = await connection.request(requests[n % requests.length]!);
    took.push(hostMs() - fromMs);
    if (status !== 200) throw new Error(`${paths[n % paths.length]} was answered ${status}: ${body.slice(0, 300)}`);
  }
  connection.close();
  return took;
}

answer({
  flood,
  reads,
  roundTrips: (ask: RoundTrips) => roundTrips(ask),
});
