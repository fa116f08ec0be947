/** Output that is known beforehand, and whether all of it can be read. */
import { setTimeout as pause } from "node:timers/promises";
import type { Called } from "../../kit/api-client.ts";

/** Every so manieth run writes much more than the others. */
const everyLarge = 50;
const largeBytes = 200_000;
const lines = Array.from({ length: 20 }, (_, n) => n);

/** Commands for sh that write the output of the run with this number, `$PARAM_n`, once somebody has the fifo `$PARAM_gate` open to write, if it has one. */
export const outputScript =
  `[ -z "$PARAM_gate" ] || : <"$PARAM_gate"\n` +
  `printf "$PARAM_n line %s\\n" ${lines.join(" ")}\n` +
  `[ $((PARAM_n % ${everyLarge})) -ne 0 ] || head -c ${largeBytes} /dev/zero | tr '\\0' x`;

/** The whole output of the run with this number. */
export function outputOf(number: number): string {
  const small = lines.map((line) => `${number} line ${line}\n`).join("");
  return number % everyLarge === 0 ? small + "x".repeat(largeBytes) : small;
}

interface Caller {
  call(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Called>;
}

export interface LogOf {
  readonly run: string;
  readonly number: number;
}

/** How many logs are read at a time. */
const lanes = 16;

/**
 * Reads the log of each run and compares it with what the run is known to have written; one sentence for each that is not
 * complete. Output arrives after its run's end, and much of it long after when much was said: what is not complete is looked at
 * again until for `withinMs` no log has become complete.
 */
export async function judgeOutput(client: Caller, logs: readonly LogOf[], withinMs: number): Promise<string[]> {
  const found: string[] = [];
  // Oldest first, as they arrive: whoever waited for the newest would not see that the others come.
  const left = logs.toReversed();
  let progressMs = performance.now();
  const mayWait = (): boolean => performance.now() - progressMs < withinMs;
  const lane = async (): Promise<void> => {
    for (let log = left.pop(); log; log = left.pop()) {
      const sentence = await judgeOne(client, log, mayWait);
      if (sentence === undefined) progressMs = performance.now();
      else found.push(sentence);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return found;
}

async function judgeOne(client: Caller, { run, number }: LogOf, mayWait: () => boolean): Promise<string | undefined> {
  const expected = outputOf(number);
  for (;;) {
    const text = await read(client, run);
    if (text === expected) return undefined;
    if (!mayWait())
      return text === undefined
        ? `the log of run ${run} cannot be read`
        : `the log of run ${run} has ${text.length} characters of ${expected.length}${expected.startsWith(text) ? "" : ", and they differ"}`;
    await pause(100);
  }
}

async function read(client: Caller, run: string): Promise<string | undefined> {
  const answer = await client.call("GET", `/runs/${run}/logs`, undefined, { accept: "text/plain" }).catch(() => undefined);
  return answer?.status === 200 ? String(answer.body) : undefined;
}
