/** What a check found: one line for people, one object for programs. */
import { patience } from "../../schema/kit/backoff.ts";
import { doctorLimits } from "../../schema/limits/doctor.ts";

/** `skip`: it was not looked at, and the sentence says why. Only `fail` makes the whole fail. */
export type Status = "pass" | "warn" | "fail" | "skip";

export interface Finding {
  readonly name: string;
  readonly status: Status;
  readonly sentence: string;
  /** What to do about it. */
  readonly advice?: string;
}

export function pass(name: string, sentence: string): Finding {
  return { name, status: "pass", sentence };
}

export function skip(name: string, sentence: string, advice?: string): Finding {
  return { name, status: "skip", sentence, ...(advice === undefined ? {} : { advice }) };
}

export function warn(name: string, sentence: string, advice: string): Finding {
  return { name, status: "warn", sentence, advice };
}

export function fail(name: string, sentence: string, advice: string): Finding {
  return { name, status: "fail", sentence, advice };
}

/** A part of the examination. It may throw, and it may hang: neither keeps the others from being made. */
export interface Check {
  readonly name: string;
  run(signal: AbortSignal): Promise<readonly Finding[]>;
}

/** Makes a check within its time. */
export async function made(check: Check, withinMs: number = doctorLimits.checkMs): Promise<readonly Finding[]> {
  const over = new AbortController();
  const late = patience(withinMs, over.signal).then((): Finding[] => [
    fail(
      check.name,
      `this check was not finished within ${withinMs / 1_000} s`,
      "Something that it asks hangs; what else is said here may tell what.",
    ),
  ]);
  const found = check
    .run(over.signal)
    .catch((error: unknown): Finding[] => [
      fail(check.name, error instanceof Error ? error.message : String(error), "The check itself could not be made."),
    ]);
  try {
    return await Promise.race([found, late]);
  } finally {
    over.abort();
  }
}

/** `a, b, c and 4 more`. */
export function someOf(names: readonly string[]): string {
  const shown = names.slice(0, doctorLimits.named).join(", ");
  return names.length > doctorLimits.named ? `${shown} and ${names.length - doctorLimits.named} more` : shown;
}
