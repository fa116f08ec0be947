/**
 * Every configuration key, once: reading, `--help` and docs/configuration.md come from this table, so that they cannot differ.
 */
import type { Key } from "./key.ts";
import { systemKeys } from "./system-keys.ts";
import { wireKeys } from "./wire-keys.ts";
import { workerKeys } from "./worker-keys.ts";

export const keys = { ...systemKeys, ...wireKeys, ...workerKeys };

export type KeyName = keyof typeof keys;

/** What reading gives: each key's value, or null where it has neither a value nor a default. */
export type Values = {
  readonly [K in KeyName]: (typeof keys)[K] extends Key<infer T, infer D> ? T | D : never;
};

/** Names of the environment that begin with MUSTER_ and configure nothing: what processes and our own scripts are given. */
export const otherNames: readonly string[] = [
  "MUSTER_RUN_ID",
  "MUSTER_ATTEMPT",
  "MUSTER_ATTEMPT_ID",
  "MUSTER_RESULT",
  "MUSTER_PROGRESS",
  "MUSTER_TEST_INSTALL",
];
