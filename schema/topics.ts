import type { PoolName, WorkerId } from "./ids.ts";

export const uplinkKinds = ["hello", "reports", "heartbeat", "logs", "status"] as const;
export type UplinkKind = (typeof uplinkKinds)[number];

export const defaultPrefix = "muster";

/** The tree of one worker, which is all that its credentials may touch: `{prefix}/v1/{pool}/{worker}`. */
export function workerRoot(prefix: string, pool: PoolName, worker: WorkerId): string {
  return `${prefix}/v1/${pool}/${worker}`;
}

/** Where the manager publishes commands for one worker. */
export function commandsTopic(prefix: string, pool: PoolName, worker: WorkerId): string {
  return `${workerRoot(prefix, pool, worker)}/down/commands`;
}

/** A worker's only subscription. Overlapping filters lose messages on real brokers, so there is exactly one. */
export function downlinkFilter(prefix: string, pool: PoolName, worker: WorkerId): string {
  return `${workerRoot(prefix, pool, worker)}/down/+`;
}

/** Where a worker publishes. */
export function uplinkTopic(prefix: string, pool: PoolName, worker: WorkerId, kind: UplinkKind): string {
  return `${workerRoot(prefix, pool, worker)}/up/${kind}`;
}

/** The manager's only subscription for a pool that it leads. */
export function uplinkFilter(prefix: string, pool: PoolName): string {
  return `${prefix}/v1/${pool}/+/up/+`;
}

/** Reads an uplink topic; undefined when it is not one of this prefix. */
export function parseUplinkTopic(
  prefix: string,
  topic: string,
): { readonly pool: PoolName; readonly worker: WorkerId; readonly kind: UplinkKind } | undefined {
  if (!topic.startsWith(`${prefix}/v1/`)) return undefined;
  const [pool, worker, up, kind, ...rest] = topic.slice(prefix.length + 4).split("/");
  if (up !== "up" || rest.length > 0 || !pool || !worker) return undefined;
  const known = uplinkKinds.find((k) => k === kind);
  return known ? { pool, worker, kind: known } : undefined;
}
