import { pino, type Logger } from "pino";

/** One JSON object per line. Keys are the words of docs/words.md: runId, attemptId, workerId, taskId, durationMs, outcome. */
export type Log = Logger;

/** The process's log. `level` is one of pino's; `name` is manager, worker or broker. Lines go to standard error. */
export function makeLog(options: { readonly name: string; readonly level: string }): Log {
  return pino(
    {
      name: options.name,
      level: options.level,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // The words a token could hide under; the code never logs one, this is the second lock.
      redact: { paths: ["token", "password", "authorization", "*.token", "*.password", "*.authorization"], censor: "[redacted]" },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}

/** A log that says nothing, for tests that do not look at it. */
export function silentLog(): Log {
  return pino({ level: "silent" });
}
