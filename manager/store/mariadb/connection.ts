/**
 * Connections to MariaDB: some for everyone who looks, some for what leaders read, some for their commits, some for output and
 * some for the rest, so that none of these waits behind another. No write is tried twice here: whoever asked knows whether that
 * is safe.
 */
import { doubledDelayMs, pause } from "../../../schema/kit/backoff.ts";
import { mariadbLimits } from "../../../schema/limits/mariadb.ts";
import type { Value } from "../rows.ts";
import { StoreError } from "../store.ts";
import { parseMariadbUrl, tlsOptions, type MariadbAddress } from "./address.ts";
import { mayHaveMoved, refusalOf } from "./errors.ts";
import { Lane } from "./lane.ts";
import { openLink, type Answer, type Link } from "./link.ts";

/** What the protocol adds to a statement's text, rounded up. */
const packetHeadBytes = 64;

/** One connection while it is ours alone. */
export interface Session {
  query(text: string, values?: readonly Value[]): Promise<Answer>;
}

export interface Connections extends AsyncDisposable {
  readonly address: MariadbAddress;
  /** A quarter of the server's `max_allowed_packet`, bytes (rule 19), as read at the last connect. */
  readonly textBytes: number;
  /** One statement that only looks: on a connection that the server had closed meanwhile it is asked once more. */
  read(text: string, values?: readonly Value[]): Promise<unknown[][]>;
  /** The same for what a leader decides by, on connections of its own. */
  load(text: string, values?: readonly Value[]): Promise<unknown[][]>;
  /**
   * Whole texts, without values to fill in, one after the other on one connection; the first that fails is the last that is
   * sent. Together they are one transaction. Resolves with the last one's answer; rejects with an unknown outcome when none comes.
   */
  write(texts: readonly string[] | Generator<string>): Promise<Answer>;
  /**
   * A connection for the time of the work; it is thrown away when the work rejects, with whatever it had open. `withinMs` bounds
   * each of its statements.
   */
  session<T>(work: (session: Session) => Promise<T>, withinMs?: number): Promise<T>;
  /** The same for output, of which there may be any amount. */
  output<T>(work: (session: Session) => Promise<T>): Promise<T>;
  /**
   * Uses no connection again that there is now. Done by itself after whatever may mean that another server is the one now: one that
   * went away, fell silent or takes no writes any more must not go on answering those who only read.
   */
  renew(): void;
}

export interface OpenConnectionsOptions {
  /** Told, now and then, why the server cannot be reached yet. */
  readonly onWaiting?: (sentence: string) => void;
  /** Ends the waiting for a server that is away. */
  readonly signal?: AbortSignal;
  /** How long a connection may be kept; by default `mariadbLimits.linkKeptMs`. */
  readonly keptMs?: number;
}

/**
 * Connects. A server that is away is waited for, because both may be started at once; one that refuses the account, has no
 * such database or cannot be verified is an error with a sentence.
 */
export async function openConnections(url: string, options: OpenConnectionsOptions = {}): Promise<Connections> {
  const address = parseMariadbUrl(url);
  const ssl = tlsOptions(address);
  let packetBytes = 0;
  const open = async (readsOnly: boolean) => {
    const link = await openLink(address, ssl, readsOnly, options.keptMs === undefined ? {} : { keptMs: options.keptMs });
    packetBytes = link.packetBytes;
    return link;
  };
  const renew = (): void => {
    for (const lane of lanes) lane.renew();
  };
  const onFailure = (error: unknown): void => {
    if (mayHaveMoved(error)) renew();
  };
  const readers = new Lane(() => open(true), mariadbLimits.readers, { onFailure });
  const leaders = new Lane(() => open(true), mariadbLimits.leaderReaders, { onFailure });
  const writers = new Lane(() => open(false), mariadbLimits.writers, { onFailure });
  const sessions = new Lane(() => open(false), mariadbLimits.sessions, { onFailure });
  const outputs = new Lane(() => open(false), mariadbLimits.outputs, { onFailure, waitingMax: mariadbLimits.outputsWaiting });
  const lanes = [readers, leaders, writers, sessions, outputs];
  // Those that nobody uses, too: an old server must not be held by them.
  const pruning = setInterval(() => {
    for (const lane of lanes) lane.prune();
  }, mariadbLimits.readOnlyLinkKeptMs).unref();
  const close = (): void => {
    clearInterval(pruning);
    for (const lane of lanes) lane.close();
  };
  try {
    await firstAnswer(writers, address, options);
  } catch (error) {
    close();
    throw error;
  }
  return {
    address,
    get textBytes() {
      return Math.floor(packetBytes / 4);
    },
    read: async (text, values = []) => await readTwice(readers, text, values, onFailure),
    load: async (text, values = []) => await readTwice(leaders, text, values, onFailure),
    write: async (texts) =>
      await writers.use(async (link) => {
        let last: Answer = { rows: [], matched: 0 };
        for (const text of texts) {
          refuseTooLarge(text, link.packetBytes);
          last = await link.ask(text, [], mariadbLimits.writeMs);
        }
        return last;
      }),
    session: async (work, withinMs = mariadbLimits.writeMs) => await sessions.use((link) => work(sessionOn(link, withinMs))),
    output: async (work) => await outputs.use((link) => work(sessionOn(link, mariadbLimits.writeMs))),
    renew,
    [Symbol.asyncDispose]: async () => close(),
  };
}

function sessionOn(link: Link, withinMs: number): Session {
  return { query: (text, values = []) => link.ask(text, values, withinMs) };
}

async function readTwice(
  readers: Lane,
  text: string,
  values: readonly Value[],
  onFailure: (error: unknown) => void,
): Promise<unknown[][]> {
  const once = async (): Promise<{ readonly rows: unknown[][] } | "stale"> =>
    await readers.use(async (link, fresh) => {
      try {
        return await link.ask(text, values, mariadbLimits.readMs);
      } catch (error) {
        // The server ends connections that are idle for long, and the news may cross with the question.
        if (fresh || !isLost(error)) throw error;
        onFailure(error);
        return "stale";
      }
    });
  // At most each of the kept connections is stale; a fresh one never says so.
  for (let tries = 0; tries < mariadbLimits.readers; tries += 1) {
    const answer = await once();
    if (answer !== "stale") return answer.rows;
  }
  return await readers.use(async (link) => (await link.ask(text, values, mariadbLimits.readMs)).rows);
}

function isLost(error: unknown): boolean {
  const code = error instanceof StoreError ? (error.cause as { readonly code?: unknown } | undefined)?.code : undefined;
  return code === "PROTOCOL_CONNECTION_LOST" || code === "ECONNRESET" || code === "EPIPE";
}

/** The server would cut the connection in the middle of the text, and every further try would end the same way. */
function refuseTooLarge(text: string, packetBytes: number): void {
  const bytes = Buffer.byteLength(text);
  if (bytes + packetHeadBytes <= packetBytes) return;
  throw new StoreError(
    "permanent",
    true,
    `A row is too large: a statement of ${bytes} bytes is beyond the server's max_allowed_packet (${packetBytes}).`,
  );
}

async function firstAnswer(lane: Lane, address: MariadbAddress, options: OpenConnectionsOptions): Promise<void> {
  const signal = options.signal ?? new AbortController().signal;
  const retry = { firstMs: mariadbLimits.startRetryFirstMs, maxMs: mariadbLimits.startRetryMaxMs };
  let quietMs = Number.POSITIVE_INFINITY;
  for (let tries = 0; ; tries += 1) {
    try {
      await lane.use(async () => undefined);
      return;
    } catch (error) {
      const refused = refusalOf((error as { readonly cause?: unknown }).cause);
      if (refused !== undefined)
        throw new Error(`The database ${address.shown} cannot be used: ${refused}. See MUSTER_DATABASE_URL.`, { cause: error });
      const why = error instanceof Error ? error.message : String(error);
      if (signal.aborted) throw new Error(`The database ${address.shown} was not reached: ${why}`, { cause: error });
      const delayMs = doubledDelayMs(tries, retry);
      if (quietMs >= mariadbLimits.startLogMs) {
        options.onWaiting?.(`the database ${address.shown} cannot be reached yet; it is tried again until it answers: ${why}`);
        quietMs = 0;
      }
      quietMs += delayMs;
      await pause(delayMs, signal);
    }
  }
}
