/** Large bodies travel by outbound HTTP, beside the wire: a start's body down, a large result up. Each with its own ticket. */
import * as z from "zod";
import type { ResultFound } from "./agent/types.ts";
import { readPlainFile } from "./plain-file.ts";
import { doubledDelayMs, pause } from "../schema/kit/backoff.ts";
import type { Clock } from "../schema/kit/clock.ts";
import { sha256Hex } from "../schema/digest.ts";
import { boundedSentence } from "../schema/end.ts";
import { timing, workerLimits } from "../schema/limits.ts";
import type { BodyRef } from "../schema/messages.ts";

/** A start's body once it is read: its env lies below the start's own. */
const startBody = z.object({ spec: z.record(z.string(), z.json()), env: z.record(z.string(), z.string()).default({}) });
export type StartBody = z.infer<typeof startBody>;

export interface BodiesDeps {
  /** `MUSTER_MANAGER_URL`, without a slash at its end. */
  readonly managerUrl: string;
  readonly clock: Clock;
  /** Whether the broker is reached: while it is not, the manager is likely away, and waiting costs nothing. */
  readonly connected: () => boolean;
  /** A traceparent for the requests about an attempt, where this worker makes spans. */
  readonly contextOf?: (attempt: string) => string | undefined;
}

/** An answer that another try would not change. */
class Refused extends Error {}

/**
 * Fetches a start's body, again and again with growing pauses until `withinMs` have passed (after that the start is stale).
 * Rejects with a sentence: refused, too large, not what was announced, or not reached in time.
 */
export async function fetchStartBody(
  deps: BodiesDeps,
  body: BodyRef & { readonly traceparent?: string | undefined },
  withinMs: number,
  signal: AbortSignal,
): Promise<StartBody> {
  if (body.size > workerLimits.fetchedBodyBytes)
    throw new Refused(`the body has ${body.size} bytes, at most ${workerLimits.fetchedBodyBytes} are fetched`);
  const until = deps.clock.now().mono + withinMs;
  for (let tries = 0; ; tries += 1) {
    try {
      return readStartBody(await fetchOnce(deps, body, signal), body);
    } catch (error) {
      const waitMs = doubledDelayMs(tries, { firstMs: 100, maxMs: 2_000 });
      if (error instanceof Refused || signal.aborted || deps.clock.now().mono + waitMs >= until) throw error;
      await pause(waitMs, signal);
    }
  }
}

async function fetchOnce(
  deps: BodiesDeps,
  body: BodyRef & { readonly traceparent?: string | undefined },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const headers = { authorization: `Ticket ${body.ticket}`, ...context(body.traceparent) };
  const response = await request(deps, body.path, { headers }, signal);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    // Never more in memory than was announced, whatever the other end sends.
    if (bytes > body.size) throw new Refused(`the body is larger than the ${body.size} bytes that were announced`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function readStartBody(bytes: Uint8Array, body: BodyRef): StartBody {
  if (bytes.byteLength !== body.size) throw new Error(`the body ended after ${bytes.byteLength} of ${body.size} bytes`);
  if (sha256Hex(bytes) !== body.sha256) throw new Refused("the body is not the one that was announced: its SHA-256 differs");
  try {
    return startBody.parse(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch (error) {
    throw new Refused("the body is not JSON {spec, env}", { cause: error });
  }
}

/**
 * Uploads a result file. Tries again while the manager does not answer, without end while the broker is away as well, and
 * for `resultUploadMs` of connected time otherwise; after that the end goes without it and says why. Never rejects.
 */
export async function uploadResult(
  deps: BodiesDeps,
  upload: { readonly attempt: string; readonly file: string; readonly size: number; readonly ticket: string },
  signal: AbortSignal,
): Promise<ResultFound> {
  let bytes: Buffer<ArrayBuffer>;
  try {
    bytes = await readPlainFile(upload.file, 0, upload.size);
  } catch (error) {
    return bad(`the result could not be read: ${sentence(error)}`);
  }
  if (bytes.byteLength < upload.size) return bad("the result file was changed after its process had ended");
  const sha256 = sha256Hex(bytes);
  let failingMs = 0;
  for (let tries = 0; ; tries += 1) {
    const began = deps.clock.now().mono;
    try {
      const headers = {
        authorization: `Ticket ${upload.ticket}`,
        "content-type": "application/json",
        ...context(deps.contextOf?.(upload.attempt)),
      };
      const response = await request(deps, `/attempts/${upload.attempt}/result`, { method: "PUT", headers, body: bytes }, signal);
      await response.body?.cancel();
      return { kind: "uploaded", sha256, size: bytes.byteLength };
    } catch (error) {
      if (error instanceof Refused) return bad(`the result of ${bytes.byteLength} bytes was not taken: ${error.message}`);
      await pause(doubledDelayMs(tries, { firstMs: 200, maxMs: 10_000 }), signal);
      if (deps.connected()) failingMs += deps.clock.now().mono - began;
      if (signal.aborted || failingMs >= timing.resultUploadMs)
        return bad(`the result of ${bytes.byteLength} bytes could not be uploaded: ${sentence(error)}`);
    }
  }
}

/** What puts the manager's span of a request below the worker's own. */
function context(traceparent: string | undefined): { readonly traceparent?: string } {
  return traceparent ? { traceparent } : {};
}

/** One request; rejects with `Refused` on a 4xx that says no for good, with a plain error on everything that may pass. */
async function request(deps: BodiesDeps, path: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
  const url = `${deps.managerUrl}${path}`;
  let response: Response;
  try {
    response = await fetch(url, {
      ...init,
      redirect: "error",
      signal: AbortSignal.any([signal, AbortSignal.timeout(timing.httpRequestMs)]),
    });
  } catch (error) {
    throw new Error(`${url} was not reached: ${sentence(error)}`, { cause: error });
  }
  if (response.ok) return response;
  await response.body?.cancel();
  const why = `${url} answered ${response.status}`;
  const passes = response.status >= 500 || response.status === 429 || response.status === 408;
  throw passes ? new Error(why) : new Refused(why);
}

function bad(why: string): ResultFound {
  return { kind: "bad", why: boundedSentence(why) };
}

/** The innermost reason: fetch hides the socket's own words in its cause. */
function sentence(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? sentence(error.cause) : error.message;
}
