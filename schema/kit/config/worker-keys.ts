import { workerLimits } from "../../limits.ts";
import { defaultPool } from "../../ids.ts";
import { key, optionalKey } from "./key.ts";
import { decimal, idText, integer, labelMap, moduleList, port, text, yesOrNo } from "./kinds.ts";

/** Keys of one worker. */
export const workerKeys = {
  pool: key({
    env: "MUSTER_POOL",
    yaml: "pool",
    kind: idText,
    byDefault: defaultPool,
    readers: ["worker"],
    sentence: "The pool that this worker belongs to.",
  }),
  logSpoolBytes: key({
    env: "MUSTER_LOG_SPOOL_BYTES",
    yaml: "limits.logSpoolBytes",
    kind: integer(65_536, 1_099_511_627_776),
    byDefault: workerLimits.logSpoolBytes,
    readers: ["worker"],
    sentence: "Bytes of one output stream that may wait on the worker's disk before the oldest are dropped, with a gap.",
  }),
  workerId: optionalKey({
    env: "MUSTER_WORKER_ID",
    yaml: "worker.id",
    kind: idText,
    defaultText: "the host's name",
    readers: ["worker"],
    sentence: "The worker's name, unique over all pools; also its username at the broker.",
  }),
  workerLabels: key({
    env: "MUSTER_WORKER_LABELS",
    yaml: "worker.labels",
    kind: labelMap,
    byDefault: {},
    readers: ["worker"],
    sentence: "Labels that constraints ask for, such as `zone=a,disk=ssd`.",
  }),
  workerSlots: key({
    env: "MUSTER_WORKER_SLOTS",
    yaml: "worker.slots",
    kind: integer(1, workerLimits.slotsMax),
    byDefault: workerLimits.slotsDefault,
    readers: ["worker"],
    sentence: "How many slots it offers; a run takes one unless its task says otherwise.",
  }),
  workerMemoryMb: optionalKey({
    env: "MUSTER_WORKER_MEMORY_MB",
    yaml: "worker.memoryMb",
    kind: integer(1, 1_073_741_824),
    defaultText: "what the host has",
    readers: ["worker"],
    sentence: "How much memory it offers.",
  }),
  workerCpus: optionalKey({
    env: "MUSTER_WORKER_CPUS",
    yaml: "worker.cpus",
    kind: decimal(0.01, 100_000),
    defaultText: "what the host has",
    readers: ["worker"],
    sentence: "How many processors it offers.",
  }),
  drivers: key({
    env: "MUSTER_DRIVERS",
    yaml: "worker.drivers",
    kind: moduleList,
    byDefault: [],
    readers: ["worker"],
    sentence: "Drivers of third parties, besides `exec` and `script`.",
  }),
  metricsPort: optionalKey({
    env: "MUSTER_METRICS_PORT",
    yaml: "metrics.port",
    kind: port,
    defaultText: "none, and nothing is measured",
    readers: ["worker"],
    sentence: "The port on which a worker gives its metrics to Prometheus (the manager's are at its API).",
  }),
  metricsHost: key({
    env: "MUSTER_METRICS_HOST",
    yaml: "metrics.host",
    kind: text,
    byDefault: "127.0.0.1",
    readers: ["worker"],
    sentence: "The address that this port listens on; whoever reaches it may read.",
  }),
  stopRuns: key({
    env: "MUSTER_STOP_RUNS",
    yaml: "worker.stopRuns",
    kind: yesOrNo,
    byDefault: false,
    readers: ["worker"],
    sentence: "When the agent is told to leave, it stops its processes first instead of leaving them running.",
  }),
} as const;
