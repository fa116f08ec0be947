import type { Kind } from "./kinds.ts";

/** Who reads a key. `client`: the demo and other users of the API. */
export type KeyReader = "manager" | "worker" | "broker" | "client";

/** `start` is the whole system at once: it takes what its manager and its worker take, and hands it on. */
export type Reader = KeyReader | "start" | WholeReader;

/** Commands that look at the whole system, and take what all of its parts take. */
export type WholeReader = "doctor" | "restored" | "backup";

/** A configuration key. `D` is null when it has no default of its own. */
export interface Key<T = unknown, D extends T | null = T | null> {
  /** Its name in the environment; a secret may also be given as the path of a file, in `<env>_FILE`. */
  readonly env: string;
  /** Its path in muster.yaml; empty: it cannot be set there. */
  readonly yaml: string;
  readonly kind: Kind<T>;
  readonly byDefault: D;
  /** What happens without a value. */
  readonly defaultText?: string;
  readonly readers: readonly KeyReader[];
  readonly secret?: true;
  readonly sentence: string;
}

type Told<T> = Omit<Key<T>, "byDefault" | "defaultText">;

/** A key with a default. */
export function key<T>(one: Told<T> & { readonly byDefault: T }): Key<T, T> {
  return one;
}

/** A key without a default value; `defaultText` says what then happens. */
export function optionalKey<T>(one: Told<T> & { readonly defaultText: string }): Key<T, null> {
  return { ...one, byDefault: null };
}

/**
 * The flag of a key without its dashes: `http-port` for `MUSTER_HTTP_PORT`. A secret's flag takes a file, because anybody on
 * the host can read a command line.
 */
export function flagOf(one: Pick<Key, "env" | "secret">): string {
  const name = one.env.slice("MUSTER_".length).toLowerCase().replaceAll("_", "-");
  return one.secret ? `${name}-file` : name;
}

/** Whether a reader takes this key. */
export function isReadBy(one: Pick<Key, "readers">, reader: Reader): boolean {
  if (reader === "doctor" || reader === "restored" || reader === "backup") return true;
  return reader === "start" ? one.readers.includes("manager") || one.readers.includes("worker") : one.readers.includes(reader);
}
