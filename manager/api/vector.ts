/** Where a reader of events is: the last number seen of each pool, written `pool:number,…`. */
import { problem } from "../../schema/problem.ts";

export type Vector = Readonly<Record<string, number>>;

const entry = /^([A-Za-z0-9_-]{1,36}):(0|[1-9][0-9]{0,14})$/;

/** Reads a vector; 400, naming the parameter, for what is not one. The empty text is the beginning of everything. */
export function parseVector(text: string, parameter: string): Vector {
  const vector = Object.create(null) as Record<string, number>;
  for (const part of text === "" ? [] : text.split(",")) {
    const match = entry.exec(part);
    if (!match)
      throw problem("malformed", `${parameter} must be pool:number,…`, {
        errors: [{ at: parameter, message: "must be pool:number,…" }],
      });
    vector[match[1] as string] = Number(match[2]);
  }
  return vector;
}

/** The text of a vector, its pools in order, so that equal places have equal ids. */
export function formatVector(vector: Vector): string {
  return Object.keys(vector)
    .toSorted()
    .map((pool) => `${pool}:${vector[pool]}`)
    .join(",");
}

/** The vector with the event counted in. */
export function withEvent(vector: Vector, event: { readonly pool: string; readonly number: number }): Vector {
  return { ...vector, [event.pool]: Math.max(vector[event.pool] ?? 0, event.number) };
}

/** Whether the reader has been past the event. */
export function hasSeen(vector: Vector, event: { readonly pool: string; readonly number: number }): boolean {
  return event.number <= (vector[event.pool] ?? 0);
}
