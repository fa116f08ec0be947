/**
 * How spans of messages are named. Source: OpenTelemetry's semantic conventions for messaging spans; MQTT 3.1.1 has no
 * headers, so the context travels in each item of a message's body.
 */
import { commandsTopic, uplinkTopic, type UplinkKind } from "../../topics.ts";
import type { Attributes } from "../tracing.ts";

/** How messages are named on this system. */
export interface Wire {
  readonly prefix: string;
  readonly clientId: string;
}

type Kind = "commands" | UplinkKind;

interface About {
  readonly operation: "publish" | "process";
  readonly kind: Kind;
  readonly pool: string;
  readonly workerId: string;
}

export function messageAttributes({ prefix, clientId }: Wire, about: About): Attributes {
  const { operation, kind, pool, workerId } = about;
  return {
    "messaging.system": "mqtt",
    "messaging.operation.name": operation,
    "messaging.operation.type": operation === "publish" ? "send" : "process",
    "messaging.destination.name": topicOf(prefix, kind, pool, workerId),
    "messaging.destination.template": topicOf(prefix, kind, "{pool}", "{worker}"),
    "messaging.client.id": clientId,
    "muster.pool": pool,
    "muster.worker.id": workerId,
  };
}

export function publishedName({ prefix }: Wire, kind: Kind): string {
  return `publish ${topicOf(prefix, kind, "{pool}", "{worker}")}`;
}

export function processedName({ prefix }: Wire, kind: Kind): string {
  return `process ${topicOf(prefix, kind, "{pool}", "{worker}")}`;
}

function topicOf(prefix: string, kind: Kind, pool: string, worker: string): string {
  return kind === "commands" ? commandsTopic(prefix, pool, worker) : uplinkTopic(prefix, pool, worker, kind);
}
