import type { Fleet } from "../../kit/fleet.ts";
import { until } from "../../kit/until.ts";

export interface OutputBytes {
  readonly stored: number;
  /** Declared as gaps. */
  readonly dropped: number;
}

/** How much of a run's output arrived at the manager, once both together are `produced`, or what there is after a minute. */
export async function outputBytes(fleet: Fleet, runId: string, produced: number): Promise<OutputBytes> {
  let seen: OutputBytes = { stored: 0, dropped: 0 };
  const whole = async (): Promise<boolean> => {
    const headers = { authorization: `Bearer ${fleet.token}`, accept: "application/x-ndjson" };
    const records = (await (await fetch(`${fleet.url}/runs/${runId}/logs?stream=stdout`, { headers })).text())
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as { readonly length: number; readonly gap?: string });
    const sum = (some: readonly { readonly length: number }[]): number => some.reduce((bytes, { length }) => bytes + length, 0);
    seen = {
      stored: sum(records.filter(({ gap }) => gap === undefined)),
      dropped: sum(records.filter(({ gap }) => gap !== undefined)),
    };
    return seen.stored + seen.dropped >= produced;
  };
  await until(`the output of ${runId}`, whole, 60_000).catch(() => undefined);
  return seen;
}
