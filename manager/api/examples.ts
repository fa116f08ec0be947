/** Examples of the document; a test holds each against its schema. */
import type { RunSummary, RunView } from "../../schema/run.ts";
import type { TaskInput } from "../../schema/task.ts";
import type { TaskView } from "../../schema/task-view.ts";
import type { PoolView } from "../../schema/pool.ts";
import type { WorkerView } from "../../schema/worker.ts";

const taskId = "mO8vXb1cTq2nKz0rJw4e7A";
const runId = "Zk3Pq9sLx0aBtV7uYd2h5Q";

export const taskExample = {
  name: "nightly-index",
  run: { driver: "script", interpreter: "bash", script: 'echo "$PARAM_city"; sort | uniq -c', stdin: "b\na\nb\n" },
  params: { city: "Brno" },
  env: { LANG: "C" },
  timeoutSeconds: 600,
  retry: { attempts: 3, backoffSeconds: 5, on: ["failed", "timedOut"] },
  constraints: ["os=linux", "label.zone in (a,b)", "interpreter.python>=3.9"],
  requires: { slots: 1, memoryMb: 64 },
  labels: { team: "search" },
} satisfies TaskInput;

export const runSummaryExample = {
  id: runId,
  taskId,
  taskName: "nightly-index",
  taskVersion: 1,
  pool: "default",
  state: "queued",
  reason: "2 workers: 1 is draining, 1 lacks label zone",
  workerId: null,
  labels: { team: "search" },
  createdAt: "2026-11-20T12:00:00.000Z",
  startedAt: null,
  endedAt: null,
  end: null,
  by: "admin",
  rerunOf: null,
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
} satisfies RunSummary;

export const runViewExample = {
  ...runSummaryExample,
  state: "succeeded",
  reason: "exited 0",
  workerId: "edge-1",
  startedAt: "2026-11-20T12:00:00.120Z",
  endedAt: "2026-11-20T12:00:00.410Z",
  end: { how: "exited", code: 0 },
  params: { city: "Ostrava" },
  attempts: [
    {
      id: "pN5yRf8kWm1oDc6vEi3gUw",
      number: 1,
      workerId: "edge-1",
      state: "ended",
      sentAt: "2026-11-20T12:00:00.030Z",
      startedAt: "2026-11-20T12:00:00.120Z",
      endedAt: "2026-11-20T12:00:00.410Z",
      end: { how: "exited", code: 0 },
      pid: 4711,
    },
  ],
  progress: { percent: 100, message: "indexed 3 lines" },
  result: { lines: 3 },
  byReason: null,
} satisfies RunView;

export const taskViewExample = {
  id: taskId,
  version: 1,
  name: "nightly-index",
  kind: "batch",
  pool: "default",
  labels: { team: "search" },
  createdAt: "2026-11-20T11:59:00.000Z",
  updatedAt: "2026-11-20T11:59:00.000Z",
  run: {
    ...taskExample.run,
    driver: "script",
    interpreter: "bash",
    scriptBase64: null,
    args: [],
    workingDirectory: null,
    user: null,
  },
  params: { city: "Brno" },
  env: { LANG: "C" },
  timeoutSeconds: 600,
  killGraceSeconds: 10,
  retry: { attempts: 3, backoffSeconds: 5, on: ["failed", "timedOut"] },
  onLost: "wait",
  lostAfterSeconds: 4_500,
  giveUpAfterSeconds: 86_400,
  attemptOverlap: "never",
  constraints: taskExample.constraints,
  requires: { slots: 1, memoryMb: 64, cpus: 0 },
  scriptSha256: "6f9c2b8f6a4b0e1d3c5a7988e7f6d5c4b3a291807f6e5d4c3b2a190807060504",
  scriptSize: 34,
  by: "admin",
  byReason: null,
  lastRun: null,
  warnings: [],
} satisfies TaskView;

export const workerExample = {
  id: "edge-1",
  pool: "default",
  state: "online",
  reason: null,
  stateSince: "2026-11-20T11:00:00.000Z",
  labels: { zone: "a", disk: "ssd" },
  facts: {
    os: "linux",
    osVersion: "6.1.0",
    arch: "x64",
    hostname: "edge-1.example",
    cpus: 4,
    memoryMb: 8_192,
    interpreters: { sh: "dash 0.5.12", python: "3.11.2" },
    drivers: ["exec", "script"],
    agentVersion: "0.1.0",
    nodeVersion: "24.21.0",
    bootId: "0b7c2a51-7a11-4f0e-9a57-0f3b1f2f8a10",
  },
  capacity: { slots: 10, memoryMb: 8_192, cpus: 4 },
  used: { slots: 1, memoryMb: 64, cpus: 0 },
  load: { cpu: 0.12, memoryMb: 5_120 },
  attempts: 1,
  lastSeenAt: "2026-11-20T12:00:00.000Z",
  clockAheadMs: { least: -12, most: 35 },
  heartbeatSeconds: 10,
  survives: true,
  http: true,
} satisfies WorkerView;

export const poolExample = {
  id: "default",
  leader: "manager-8Hs2kQ",
  term: 7,
  reason: null,
  restored: null,
  brake: null,
} satisfies PoolView;
