import { timing } from "../../limits.ts";
import { defaultPrefix } from "../../topics.ts";
import { key, optionalKey } from "./key.ts";
import { decimal, idText, integer, path, port, text, topicLevel, url, wordOrUrl } from "./kinds.ts";

const all = ["manager", "worker", "broker"] as const;
const intervals = decimal(1, 1_000);
const someMs = integer(10, 3_600_000);

/** Keys of the wire: the broker, and the times by which silence is judged (rule 11). */
export const wireKeys = {
  brokerUrl: optionalKey({
    env: "MUSTER_BROKER_URL",
    yaml: "broker.url",
    kind: wordOrUrl("embedded", url("mqtt:", "mqtts:")),
    defaultText: "manager: `embedded`; worker: the broker's host and port below",
    readers: ["manager", "worker"],
    sentence: "The MQTT broker; `embedded` is one inside the manager.",
  }),
  brokerHost: key({
    env: "MUSTER_BROKER_HOST",
    yaml: "broker.host",
    kind: text,
    byDefault: "127.0.0.1",
    readers: all,
    sentence: "The address that the embedded broker listens on.",
  }),
  brokerPort: key({
    env: "MUSTER_BROKER_PORT",
    yaml: "broker.port",
    kind: port,
    byDefault: 7071,
    readers: all,
    sentence: "The port that the embedded broker listens on.",
  }),
  brokerUsername: optionalKey({
    env: "MUSTER_BROKER_USERNAME",
    yaml: "broker.username",
    kind: idText,
    defaultText: "manager: `manager`; worker: its id",
    readers: ["manager", "worker"],
    sentence: "The name under which it logs in at the broker.",
  }),
  brokerPassword: optionalKey({
    env: "MUSTER_BROKER_PASSWORD",
    yaml: "broker.password",
    kind: text,
    defaultText: "none",
    readers: ["manager", "worker"],
    secret: true,
    sentence: "The password for the broker; `npm run worker:add` prints a worker's.",
  }),
  brokerCa: optionalKey({
    env: "MUSTER_BROKER_CA",
    yaml: "broker.ca",
    kind: path,
    defaultText: "the system's authorities",
    readers: ["manager", "worker"],
    sentence: "PEM file of the authority that signed the broker's certificate (`mqtts:`).",
  }),
  brokerCert: optionalKey({
    env: "MUSTER_BROKER_CERT",
    yaml: "broker.cert",
    kind: path,
    defaultText: "none",
    readers: all,
    sentence: "PEM file of a certificate: this client's own, or the one that the embedded broker shows.",
  }),
  brokerKey: optionalKey({
    env: "MUSTER_BROKER_KEY",
    yaml: "broker.key",
    kind: path,
    defaultText: "none",
    readers: all,
    sentence: "PEM file of that certificate's private key.",
  }),
  brokerClientCa: optionalKey({
    env: "MUSTER_BROKER_CLIENT_CA",
    yaml: "broker.clientCa",
    kind: path,
    defaultText: "none, and clients are not asked for certificates",
    readers: ["manager", "broker"],
    sentence: "PEM file of the authority whose certificate every client of the embedded broker must show, beside its password.",
  }),
  topicPrefix: key({
    env: "MUSTER_TOPIC_PREFIX",
    yaml: "topicPrefix",
    kind: topicLevel,
    byDefault: defaultPrefix,
    readers: all,
    sentence: "The first level of all topics.",
  }),
  heartbeatMs: key({
    env: "MUSTER_HEARTBEAT_MS",
    yaml: "timing.heartbeatMs",
    kind: someMs,
    byDefault: timing.heartbeatMs,
    readers: ["manager", "worker"],
    sentence: "How often a worker reports its load; a large fleet is given longer intervals.",
  }),
  unreachableIntervals: key({
    env: "MUSTER_UNREACHABLE_INTERVALS",
    yaml: "timing.unreachableIntervals",
    kind: intervals,
    byDefault: timing.unreachableIntervals,
    readers: ["manager"],
    sentence: "Heartbeat intervals of silence after which a worker is `unreachable`.",
  }),
  startTtlIntervals: key({
    env: "MUSTER_START_TTL_INTERVALS",
    yaml: "timing.startTtlIntervals",
    kind: intervals,
    byDefault: timing.startTtlIntervals,
    readers: ["manager", "worker"],
    sentence: "Heartbeat intervals for which a start may be obeyed.",
  }),
  workerLostIntervals: key({
    env: "MUSTER_WORKER_LOST_INTERVALS",
    yaml: "timing.workerLostIntervals",
    kind: intervals,
    byDefault: timing.workerLostIntervals,
    readers: ["manager", "worker"],
    sentence: "Heartbeat intervals of silence after which a worker is `lost`.",
  }),
  leaseRenewMs: key({
    env: "MUSTER_LEASE_RENEW_MS",
    yaml: "timing.leaseRenewMs",
    kind: someMs,
    byDefault: timing.leaseRenewMs,
    readers: ["manager"],
    sentence: "How often a manager renews its lease.",
  }),
  leaseStillMs: key({
    env: "MUSTER_LEASE_STILL_MS",
    yaml: "timing.leaseStillMs",
    kind: someMs,
    byDefault: timing.leaseStillMs,
    readers: ["manager"],
    sentence: "How long a lease must stand still before another manager takes it.",
  }),
} as const;
