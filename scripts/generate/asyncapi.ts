import * as z from "zod";
import { end } from "../../schema/end.ts";
import { makeConverter, named, type Converter, type JsonObject } from "../../schema/kit/json-schema.ts";
import * as messages from "../../schema/messages.ts";
import { commandsTopic, uplinkKinds, uplinkTopic, type UplinkKind } from "../../schema/topics.ts";
import { wireLimits } from "../../schema/limits.ts";
import packageJson from "../../package.json" with { type: "json" };
import type { Generator } from "./generator.ts";
import { yamlOf } from "./yaml.ts";

named({
  AskItem: messages.askItem,
  AckItem: messages.ackItem,
  BodyRef: messages.bodyRef,
  DrainItem: messages.drainItem,
  End: end,
  InventoryItem: messages.inventoryItem,
  LogsAckItem: messages.logsAckItem,
  Report: messages.report,
  SettingsItem: messages.settingsItem,
  SignalItem: messages.signalItem,
  StartItem: messages.startItem,
  StopItem: messages.stopItem,
  SyncItem: messages.syncItem,
});

interface Topic {
  readonly address: string;
  readonly from: "manager" | "worker";
  readonly summary: string;
  readonly schema: z.ZodType;
  readonly qos: 0 | 1;
  readonly retain: boolean;
}

const uplinks: Readonly<Record<UplinkKind, Omit<Topic, "address" | "from">>> = {
  hello: {
    summary: "Who the worker is and what it has, after each connect and until a sync answers it",
    schema: messages.hello,
    qos: 1,
    retain: false,
  },
  reports: {
    summary: "What became of attempts, in order of seq; sent again until the manager's ack covers it",
    schema: messages.reportsEnvelope.extend({ items: z.array(messages.report).max(wireLimits.itemsPerMessage) }),
    qos: 1,
    retain: false,
  },
  heartbeat: { summary: "The worker lives, and what it has free", schema: messages.heartbeat, qos: 0, retain: false },
  logs: {
    summary: "A stretch of output, or of output that was dropped; kept by the worker until logsAck names a higher offset",
    schema: messages.logs,
    qos: 1,
    retain: false,
  },
  status: { summary: "Whether the worker is connected; `gone` is its last will", schema: messages.status, qos: 1, retain: true },
};

const topics: Readonly<Record<string, Topic>> = {
  commands: {
    address: commandsTopic("{prefix}", "{pool}", "{worker}"),
    from: "manager",
    summary: "What a worker shall do. Items of one message are read one by one; a start obeys the rules of freshness",
    schema: messages.commandsEnvelope.extend({ items: z.array(messages.downItem).max(wireLimits.itemsPerMessage) }),
    qos: 1,
    retain: false,
  },
  ...Object.fromEntries(
    uplinkKinds.map((kind) => [
      kind,
      { ...uplinks[kind], address: uplinkTopic("{prefix}", "{pool}", "{worker}", kind), from: "worker" as const },
    ]),
  ),
};

/** The AsyncAPI 3.0 document of the wire: one channel per topic, seen from the manager. */
export function asyncApiDocument(version: string): JsonObject {
  const converter = makeConverter("#/components/schemas/", "");
  const entries = Object.entries(topics);
  const messagesPart = Object.fromEntries(entries.map(([name, topic]) => [name, messageOf(name, topic, converter)]));
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Muster wire",
      version,
      description: `Protocol version ${messages.protocolVersion} between manager and workers over MQTT 3.1.1. Every message is one JSON object of at most ${wireLimits.payloadBytes} bytes. Any message may be lost, repeated, late or out of order: a PUBACK proves nothing.`,
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    defaultContentType: "application/json",
    servers: {
      broker: {
        host: "127.0.0.1:7071",
        protocol: "mqtt",
        protocolVersion: "3.1.1",
        security: [{ $ref: "#/components/securitySchemes/password" }],
      },
    },
    channels: Object.fromEntries(entries.map(([name, topic]) => [name, channelOf(name, topic)])),
    operations: Object.fromEntries(
      entries.map(([name, topic]) => [
        `${topic.from === "manager" ? "send" : "receive"}${capital(name)}`,
        operationOf(name, topic),
      ]),
    ),
    components: {
      messages: messagesPart,
      schemas: Object.fromEntries(Object.entries(converter.components).toSorted(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: {
        password: {
          type: "userPassword",
          description: "the username is the worker's id; it may publish and subscribe only under its own tree",
        },
      },
    },
  };
}

function capital(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function messageOf(name: string, { schema, summary }: Topic, converter: Converter): JsonObject {
  // The input form: receivers pass over keys that they do not know, so that a newer sender may add some.
  return { name, title: capital(name), summary, contentType: "application/json", payload: converter.convert(schema, "input") };
}

function channelOf(name: string, { address }: Topic): JsonObject {
  return {
    address,
    messages: { [name]: { $ref: `#/components/messages/${name}` } },
    parameters: {
      prefix: { description: "MUSTER_TOPIC_PREFIX", default: "muster" },
      pool: { description: "the pool of the worker" },
      worker: { description: "the worker's id, which is also its username and client id" },
    },
  };
}

function operationOf(name: string, { from, summary, qos, retain }: Topic): JsonObject {
  return {
    action: from === "manager" ? "send" : "receive",
    channel: { $ref: `#/channels/${name}` },
    summary,
    messages: [{ $ref: `#/channels/${name}/messages/${name}` }],
    bindings: { mqtt: { qos, retain, bindingVersion: "0.2.0" } },
  };
}

/** asyncapi.yaml: topics and messages. */
export const asyncApi: Generator = {
  file: "asyncapi.yaml",
  make: () => yamlOf(asyncApiDocument(packageJson.version), "schema/topics.ts and schema/messages.ts"),
};
