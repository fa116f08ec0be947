import { pino, type Logger } from "pino";

/** One JSON object per line. Keys are the words of docs/words.md: runId, attemptId, workerId, taskId, durationMs, outcome. */
export type Log = Logger;

/** The process's log. `level` is one of pino's; `name` is manager, worker or broker. Lines go to standard error. */
export function makeLog(options: { readonly name: string; readonly level: string }): Log {
  const log = pino(
    {
      name: options.name,
      level: options.level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: withoutSecrets },
      serializers: {
        err: (error: unknown) => (error instanceof Error ? withoutSecretsInside({ ...pino.stdSerializers.err(error) }) : error),
      },
    },
    perTurn(pino.destination({ fd: 2, sync: true })),
  );
  // What a child is bound to is written once, past the formatter above; its own children inherit this.
  const { child } = log;
  log.child = function (this: Log, bindings, more) {
    return child.call(this, withoutSecrets(bindings), more);
  } as typeof child;
  return log;
}

/** The words a token could hide under; the code never logs one, this is the second lock. */
const secretWords: ReadonlySet<string> = new Set(["token", "password", "authorization"]);
const censored = "[redacted]";

/**
 * The fields, with what stands under such a word replaced, here and one level down. By hand: pino's own redaction cost each
 * request two thirds of its log line.
 */
export function withoutSecrets(fields: Record<string, unknown>): Record<string, unknown> {
  let safe = fields;
  for (const key in fields) {
    const value = fields[key];
    const shown = secretWords.has(key) ? censored : isPlain(value) ? withoutSecretsInside(value) : value;
    if (shown !== value) safe = { ...safe, [key]: shown };
  }
  return safe;
}

function withoutSecretsInside(fields: Record<string, unknown>): Record<string, unknown> {
  let safe = fields;
  for (const key in fields) if (secretWords.has(key)) safe = { ...safe, [key]: censored };
  return safe;
}

/** Errors are written by a serializer of their own. */
function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Beyond this the lines of one turn are written at once. */
const turnBytes = 65_536;

/**
 * Writes the lines of one turn of the event loop together: a system call for each would cost a busy manager more than the
 * requests that they tell of. Nothing is kept longer, and what is left when the process ends is written.
 */
function perTurn(destination: { write(text: string): unknown; flushSync(): void }): {
  write(line: string): void;
  flushSync(): void;
} {
  let lines = "";
  const flush = (): void => {
    if (lines === "") return;
    const text = lines;
    lines = "";
    destination.write(text);
  };
  process.on("exit", flush);
  return {
    write(line) {
      if (lines === "") setImmediate(flush);
      lines += line;
      if (lines.length > turnBytes) flush();
    },
    flushSync() {
      flush();
      destination.flushSync();
    },
  };
}

/** A log that says nothing, for tests that do not look at it. */
export function silentLog(): Log {
  return pino({ level: "silent" });
}
