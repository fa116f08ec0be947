/** BullMQ's process: adds jobs, works on them, or both. Plain JavaScript, because its packages are no part of the project. */
import { spawn } from "node:child_process";
import { Queue, QueueEvents, Worker } from "bullmq";
import { answer } from "../kit/answering.ts";
import { hostMs } from "../kit/cpu.ts";

const name = "bench";
let connection;
let queue;
let worker;
let completed = 0;
let completedMs = 0;
let failed = 0;

const jobs = {
  noop: async () => undefined,
  spawn: () =>
    new Promise((resolve, reject) => {
      const child = spawn("/bin/true", { stdio: "ignore" });
      child.once("error", reject);
      child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}`))));
    }),
};

async function open({ port }) {
  connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
  queue = new Queue(name, { connection });
  await queue.waitUntilReady();
}

async function work({ concurrency, job }) {
  await worker?.close();
  worker = new Worker(name, jobs[job], { connection, concurrency });
  worker.on("completed", () => {
    completed += 1;
    completedMs = hostMs();
  });
  worker.on("failed", () => (failed += 1));
  worker.on("error", (error) => process.stderr.write(`${error.stack}\n`));
  await worker.waitUntilReady();
}

/** Adds one by one (`perAdd` 1) or by addBulk, in `lanes` at once, for `forMs` or `adds` times. */
async function add({ lanes, perAdd, forMs, adds = Number.POSITIVE_INFINITY }) {
  const fromMs = hostMs();
  const bulk = Array.from({ length: perAdd }, () => ({ name: "job", data: {} }));
  let begun = 0;
  let added = 0;
  const lane = async () => {
    while (begun < adds && hostMs() - fromMs < forMs) {
      begun += 1;
      if (perAdd === 1) await queue.add("job", {});
      else await queue.addBulk(bulk);
      added += perAdd;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return { added, fromMs };
}

async function latency({ perSecond, count }) {
  const events = new QueueEvents(name, { connection });
  await events.waitUntilReady();
  const latencies = [];
  const due = new Map();
  const all = new Promise((resolve) => {
    events.on("completed", ({ jobId }) => {
      latencies.push(hostMs() - due.get(jobId));
      due.delete(jobId);
      if (latencies.length === count) resolve();
    });
  });
  const begunMs = hostMs() + 20;
  for (let n = 0; n < count; n += 1) {
    const dueMs = begunMs + (n * 1_000) / perSecond;
    const restMs = dueMs - hostMs();
    if (restMs > 2) await new Promise((done) => setTimeout(done, restMs - 2));
    while (hostMs() < dueMs) await new Promise((done) => setImmediate(done));
    const jobId = `l-${process.pid}-${begunMs}-${n}`;
    due.set(jobId, dueMs);
    void queue.add("job", {}, { jobId });
  }
  await all;
  await events.close();
  return { latencies };
}

answer({
  open,
  work,
  add,
  latency,
  counts: () => ({ completed, completedMs, failed }),
  /** What the queue itself says: nothing may be left, nothing may have failed. */
  kept: () => queue.getJobCounts("completed", "failed", "waiting", "active", "delayed"),
});
