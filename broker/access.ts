/** Who may say and hear what on the embedded broker. Pure, so that every line of it can be tested without a socket. */
import { brokerLimits, wireLimits } from "../schema/limits.ts";
import { uplinkKinds, workerRoot } from "../schema/topics.ts";

export type ClientRole = "worker" | "manager";

/** A client that has shown its password. */
export interface Identity {
  readonly username: string;
  readonly pool: string;
  readonly role: ClientRole;
}

/** What the embedded broker asks about a CONNECT. Undefined: no such client, or another password. May throw a sentence. */
export interface ClientVerifier {
  verifyClient(username: string, password: string): { readonly pool: string; readonly role: ClientRole } | undefined;
}

export interface PublishAsked {
  readonly topic: string;
  readonly payloadBytes: number;
  readonly retain: boolean;
}

/** Why this client may not publish this, in one sentence; undefined when it may. Wills are asked about as well. */
export function whyNotPublish(identity: Identity, prefix: string, asked: PublishAsked): string | undefined {
  if (asked.payloadBytes > wireLimits.payloadBytes)
    return `a payload of ${asked.payloadBytes} bytes is over the bound of ${wireLimits.payloadBytes}`;
  if (/[+#\0]/.test(asked.topic)) return "a topic must not contain + or # or a zero character";
  const status = statusTopic(prefix, asked.topic);
  if (asked.retain && !status) return "only a status may be retained";
  if (asked.retain && asked.payloadBytes > wireLimits.statusBytes) return `a status has at most ${wireLimits.statusBytes} bytes`;
  if (identity.role === "manager")
    return asked.topic.startsWith(`${prefix}/v1/`) ? undefined : `the topic is not under ${prefix}/v1/`;
  const uplinks = `${workerRoot(prefix, identity.pool, identity.username)}/up/`;
  const kind = asked.topic.startsWith(uplinks) ? asked.topic.slice(uplinks.length) : undefined;
  return uplinkKinds.some((known) => known === kind)
    ? undefined
    : `a worker publishes only ${uplinks}{${uplinkKinds.join(", ")}}`;
}

/** Why this client may not subscribe to this filter beside those it holds, in one sentence; undefined when it may. */
export function whyNotSubscribe(
  identity: Identity,
  prefix: string,
  filter: string,
  held: ReadonlySet<string>,
): string | undefined {
  if (identity.role === "manager") {
    if (!filter.startsWith(`${prefix}/v1/`)) return `the filter is not under ${prefix}/v1/`;
  } else {
    const downlinks = `${workerRoot(prefix, identity.pool, identity.username)}/down/`;
    if (!filter.startsWith(downlinks)) return `a worker subscribes only to ${downlinks}+`;
  }
  if (held.has(filter)) return undefined;
  const most = identity.role === "manager" ? brokerLimits.filtersPerManager : brokerLimits.filtersPerWorker;
  if (held.size >= most) return `a ${identity.role} holds at most ${most} filters`;
  // Overlapping filters of one client were seen to lose messages and to end the session on brokers in the field.
  for (const other of held) if (filtersOverlap(filter, other)) return `the filter overlaps ${other}`;
  return undefined;
}

/** Whether some topic matches both filters. */
export function filtersOverlap(one: string, other: string): boolean {
  const left = one.split("/");
  const right = other.split("/");
  for (let level = 0; ; level += 1) {
    const a = left[level];
    const b = right[level];
    // [MQTT-4.7.1-2]: `a/#` matches `a` as well, so # against the end overlaps.
    if (a === "#" || b === "#") return true;
    if (a === undefined || b === undefined) return a === b;
    if (a !== b && a !== "+" && b !== "+") return false;
  }
}

/** Whether a topic matches a filter [MQTT-4.7]. */
export function filterMatches(filter: string, topic: string): boolean {
  // [MQTT-4.7.2-1]: a filter that begins with a wildcard sees nothing of the broker's own.
  if (topic.startsWith("$") && !filter.startsWith("$")) return false;
  return filtersOverlap(filter, topic);
}

function statusTopic(prefix: string, topic: string): boolean {
  const levels = topic.startsWith(`${prefix}/v1/`) ? topic.slice(prefix.length + 4).split("/") : [];
  return levels.length === 4 && levels[2] === "up" && levels[3] === "status";
}
