/**
 * One text for each state, whatever the hour: instants become distances from now, wall clocks vanish, and so does what only
 * counts, caches or derives. Two states of the same text have the same futures.
 */
import { hash } from "node:crypto";

/** Clocks of different hosts differ by multiples of this, so that an instant shows whose it is. */
export const clockApart = 10_000_000;
const wallFromMs = 100_000_000_000;

/** Derived from the rest, or read by nobody who decides. */
const passedOver: ReadonlySet<string> = new Set([
  // What never changes, and what is shown to people.
  ..."options definition record constraints facts labels ownLabels apiLabels capacity trace by byReason why sentence".split(" "),
  ..."params taskName env spec progress result resultBody alarms holdWhy restWhy load lastEnds stateSince".split(" "),
  // Caches of rows, and what indexes the rest.
  ..."tasks names versions keys lacking batch previous loaded view free eager takers runsOfTask settings".split(" "),
  // Numbers that only count.
  ..."settingsVersion tookOverOrder batchNumber lastEvent endIntervalMs lastEndMono heardWall digest bytes onWireBytes spoolBytes keysForgottenMono".split(
    " ",
  ),
]);

export class Canon {
  readonly #nowMs: number;
  readonly #seen = new Map<object, number>();

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  /** The hash of one part of a world. */
  static hashOf(nowMs: number, value: unknown): string {
    return hash("md5", new Canon(nowMs).text(value), "base64");
  }

  text(value: unknown): string {
    if (typeof value === "object") return value === null ? "~" : this.#object(value);
    if (typeof value === "number") return this.#number(value);
    if (typeof value === "string") return value;
    return value === true ? "+" : value === false ? "-" : "";
  }

  #number(value: number): string {
    if (value >= wallFromMs) return Number.isFinite(value) ? "t" : "never";
    if (value < clockApart) return String(value);
    return `${Math.floor(value / clockApart)}@${(value % clockApart) - this.#nowMs}`;
  }

  #object(value: object): string {
    const at = this.#seen.get(value);
    if (at !== undefined) return `#${at}`;
    this.#seen.set(value, this.#seen.size);
    let text = "";
    if (Array.isArray(value)) {
      for (const item of value) text += `${this.text(item)},`;
      return `[${text}]`;
    }
    if (value instanceof Map) {
      for (const [key, item] of value) text += `${this.text(key)}:${this.text(item)},`;
      return `<${text}>`;
    }
    if (value instanceof Set) {
      for (const item of value) text += `${this.text(item)},`;
      return `(${text})`;
    }
    for (const key in value) {
      if (passedOver.has(key)) continue;
      const item = (value as Record<string, unknown>)[key];
      // Only whether it was just now.
      if (key === "spokenMono") text += `${this.#number(item as number).endsWith("@0") ? "spoken" : ""},`;
      else text += key === "due" ? `due:${this.#wakes(item)},` : `${key}:${this.text(item)},`;
    }
    return `{${text}}`;
  }

  /** Of a heap only what its owners' own instants do not say. */
  #wakes(heap: unknown): string {
    const { keys, items } = heap as { readonly keys?: readonly number[]; readonly items: readonly { readonly kind?: string }[] };
    if (!keys) return "";
    return keys
      .filter((_, at) => items[at]?.kind === "wake")
      .toSorted((a, b) => a - b)
      .map((key) => this.#number(key))
      .join();
  }
}
