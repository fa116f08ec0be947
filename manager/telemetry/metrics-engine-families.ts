/** The metrics of the engine: their names, and what they say. */
import { Counter, Histogram } from "../../schema/kit/metrics/families.ts";

/** Bounds in seconds, from a step in memory to a run that takes a night. */
const shortSeconds = [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const latencySeconds = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800];
const runSeconds = [0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200, 28_800, 86_400];
const inputCounts = [1, 2, 5, 10, 25, 50, 100, 200, 350, 500];
const changeCounts = [0, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000];

export type Families = ReturnType<typeof makeFamilies>;

/** All of them, empty. */
export function makeFamilies() {
  return { ...makeCounters(), ...makeHistograms() };
}

const pool = ["pool"];

function makeCounters() {
  return {
    created: new Counter({ name: "muster_runs_created_total", help: "Runs that were made." }, pool),
    ended: new Counter({ name: "muster_runs_ended_total", help: "Runs that ended, by the state in which they did." }, [
      "pool",
      "state",
    ]),
    retried: new Counter({ name: "muster_runs_retried_total", help: "Further tries, by how the try before had ended." }, [
      "pool",
      "after",
    ]),
    attemptsEnded: new Counter({ name: "muster_attempts_ended_total", help: "Attempts that ended, by how." }, ["pool", "how"]),
    refused: new Counter(
      {
        name: "muster_starts_refused_total",
        help: "Starts that a worker refused, by the class of the cause; each is placed again.",
      },
      ["pool", "cause"],
    ),
    events: new Counter({ name: "muster_events_total", help: "Events that became history, by kind (docs/words.md)." }, [
      "pool",
      "kind",
    ]),
    notes: new Counter(
      {
        name: "muster_notes_total",
        help: "What was noticed of messages and changed nothing: repeated, late, stale or strange ones.",
      },
      ["pool", "what"],
    ),
    setAside: new Counter(
      { name: "muster_set_aside_total", help: "Messages and requests that could not be applied and are kept for an operator." },
      pool,
    ),
    requestsLeft: new Counter(
      {
        name: "muster_requests_left_total",
        help: "Requests that were dropped before anything was done for them: the client had gone, or had waited for as long as it may.",
      },
      pool,
    ),
    storeFailures: new Counter(
      {
        name: "muster_store_failures_total",
        help: "Commits and reads of the leader that the database failed; each is tried again.",
      },
      pool,
    ),
    items: new Counter(
      {
        name: "muster_message_items_total",
        help: "Items in messages: commands that were decided (down), reports that were taken (up).",
      },
      ["direction", "kind"],
    ),
  };
}

function makeHistograms() {
  return {
    inputs: new Histogram(
      { name: "muster_batch_inputs", help: "Requests, messages and ticks that one commit covers." },
      inputCounts,
      pool,
    ),
    changes: new Histogram(
      { name: "muster_batch_changes", help: "Rows that one commit inserts or updates." },
      changeCounts,
      pool,
    ),
    step: new Histogram(
      { name: "muster_step_duration_seconds", help: "Deciding all inputs of one batch, with what had to be read for it." },
      shortSeconds,
      pool,
    ),
    place: new Histogram(
      { name: "muster_placement_duration_seconds", help: "Choosing workers for what waits, once in each batch." },
      shortSeconds,
      pool,
    ),
    commit: new Histogram(
      { name: "muster_commit_duration_seconds", help: "Making one batch durable, failed tries included." },
      shortSeconds,
      pool,
    ),
    wait: new Histogram(
      { name: "muster_run_wait_seconds", help: "From a run's creation until its first start was sent to a worker." },
      latencySeconds,
      pool,
    ),
    answer: new Histogram(
      {
        name: "muster_start_answer_seconds",
        help: "From a start that was sent until the worker's report that it took it was durable.",
      },
      latencySeconds,
      pool,
    ),
    run: new Histogram(
      { name: "muster_run_duration_seconds", help: "From a run's creation until its end was known and durable." },
      runSeconds,
      pool,
    ),
  };
}
