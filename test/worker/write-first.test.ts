/** The real core and the real journal file, with a disk that a test fills: what may be said while nothing can be written. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hello as helloSchema, type Hello } from "../../schema/messages.ts";
import { createAgent, step, type AgentState } from "../../worker/agent/agent.ts";
import type { AgentAction, AgentInput } from "../../worker/agent/types.ts";
import { JournalFull, openJournal, type Journal } from "../../worker/journal.ts";
import { writeFirst, type WriteFirst } from "../../worker/write-first.ts";
import { published, reported, startOf, TestAgent } from "./agent/kit.ts";

let folder: string;
let journal: Journal;
let full = false;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "write-first-"));
  journal = openJournal(folder, { wall: 1 });
  full = false;
});
afterEach(() => {
  journal.close();
  rmSync(folder, { recursive: true, force: true });
});

/** One life of an agent on the journal. */
class Life {
  readonly done: AgentAction[] = [];
  readonly epoch: string;
  readonly #state: AgentState;
  readonly #out: WriteFirst;
  mono: number;

  constructor(mono: number) {
    this.mono = mono;
    const { journal: id, n } = journal.meta;
    this.epoch = `${id}.${n}.nonce000000${n}`;
    const options = { ...new TestAgent().options, epoch: this.epoch };
    this.#state = createAgent(
      options,
      { meta: journal.meta, entries: journal.entries(), reports: journal.reports() },
      this.#now(),
    );
    this.#out = writeFirst({
      journal: {
        write: (writes) => {
          if (full) throw new JournalFull("no room");
          journal.write(writes);
        },
        durable: () => journal.durable(),
      },
      act: (action) => void this.done.push(action),
    });
  }

  #now(): { readonly mono: number; readonly wall: number } {
    return { mono: this.mono, wall: this.mono };
  }

  /** Does the step, and returns what was done of it and of what waited. */
  put(input: AgentInput): readonly AgentAction[] {
    const before = this.done.length;
    this.#out.commit([step(this.#state, input, this.#now())]);
    return this.done.slice(before);
  }

  /** What came in one turn of the loop: several steps, one write. */
  round(inputs: readonly AgentInput[]): void {
    this.#out.commit(inputs.map((input) => step(this.#state, input, this.#now())));
  }

  pass(ms: number): readonly AgentAction[] {
    this.mono += ms;
    return this.put({ kind: "tick", load: { cpu: 0, memoryMb: 0 }, spoolBytes: 0 });
  }

  retry(): readonly AgentAction[] {
    const before = this.done.length;
    this.#out.retry();
    return this.done.slice(before);
  }

  say(items: Extract<AgentInput, { kind: "commands" }>["message"]["items"], term = 1): readonly AgentAction[] {
    return this.put({ kind: "commands", message: { v: 1, term, asOf: { epoch: this.epoch, mono: this.mono }, items } });
  }

  /** Connected, introduced, and so many attempts started. */
  run(...attempts: readonly string[]): this {
    this.put({ kind: "connected", connection: 1 });
    this.say([{ kind: "sync", epoch: this.epoch, connection: 1 }]);
    for (const attempt of attempts) {
      this.say([startOf(attempt)]);
      this.put({ kind: "started", attempt, process: processOf(attempt), startedWall: 5 });
    }
    return this;
  }
}

const processOf = (attempt: string) => ({ bootId: "boot-1", pid: attempt.length + 100, startTicks: 9 });

function ended(attempt: string): AgentInput {
  const exit = { read: "code", code: 7 } as const;
  return {
    kind: "ended",
    attempt,
    exit,
    termBefore: false,
    timedOut: false,
    fenced: false,
    result: { kind: "none" },
    endedWall: 6,
  };
}

function successor(mono: number): Life {
  journal.close();
  journal = openJournal(folder, { wall: 1 });
  return new Life(mono);
}

const inventoryOf = ({ inventory }: Hello) =>
  inventory.items.map(({ attempt, state, end }) => [attempt, state, ...(end ? [end.how] : [])]);

test("an attempt that moves on several times in one turn is in the journal as it was last (rules 3, 23)", () => {
  const life = new Life(1_000_000).run();
  const asOf = { epoch: life.epoch, mono: life.mono };
  life.round([
    { kind: "commands", message: { v: 1, term: 1, asOf, items: [startOf("short"), startOf("long")] } },
    { kind: "started", attempt: "short", process: processOf("short"), startedWall: 5 },
    { kind: "started", attempt: "long", process: processOf("long"), startedWall: 5 },
    ended("short"),
  ]);
  const { entry } = journal.durable();
  expect(entry("short")).toMatchObject({ state: "ended", end: { how: "exited", code: 7 } });
  expect(entry("long")).toMatchObject({ state: "running", process: processOf("long") });
});

describe("an agent that starts on a full disk", () => {
  test("says who it is and what the journal knows to run, beats, and tells the ends that it found when there is room", () => {
    new Life(1_000_000).run("over", "runs");
    const applied = journal.durable().meta.nextSeq - 1;
    const life = successor(2_000_000);
    full = true;
    life.put({
      kind: "recovered",
      found: [
        {
          attempt: "over",
          found: "exited",
          exit: { read: "code", code: 7 },
          result: { kind: "none" },
          process: processOf("over"),
          startedWall: 5,
          timedOut: false,
          fenced: false,
        },
        { attempt: "runs", found: "alive", process: processOf("runs"), startedWall: 5 },
      ],
    });
    const [hello] = published(life.put({ kind: "connected", connection: 1 }), "hello");
    expect(hello).toBeDefined();
    helloSchema.parse(hello);
    expect(hello).toMatchObject({ epoch: life.epoch, connection: 1, mono: 2_000_000, newestSeq: applied, seqAtStart: applied });
    // The end is not durable: a later agent might read it otherwise, and terminal is final.
    expect(inventoryOf(hello as Hello)).toEqual([
      ["runs", "running"],
      ["over", "running"],
    ]);
    expect(published(life.pass(10_000), "heartbeat")).toHaveLength(1);
    life.say([{ kind: "sync", epoch: life.epoch, connection: 1, keep: ["over", "runs"] }]);
    expect(life.done.filter((action) => action.action === "publish" && action.what === "reports")).toEqual([]);
    full = false;
    expect(reported(life.retry()).at(-1)).toMatchObject({ attempt: "over", kind: "end", end: { how: "exited", code: 7 } });
  });

  test("what it said, the agent after it says as well", () => {
    new Life(1_000_000).run("a");
    const life = successor(2_000_000);
    full = true;
    life.put({ kind: "recovered", found: [] });
    const [before] = published(life.put({ kind: "connected", connection: 1 }), "hello");
    const next = successor(3_000_000);
    const [after] = published(next.put({ kind: "connected", connection: 1 }), "hello");
    expect(inventoryOf(after as Hello)).toEqual(inventoryOf(before as Hello));
    expect(after?.newestSeq).toBe(before?.newestSeq);
    expect(after?.highestTerm).toBe(before?.highestTerm);
  });
});

describe("a disk that fills while the agent runs", () => {
  test("a start that could not be written is not in the hello, nor a term, nor the end of a stop that came first; one that runs is", () => {
    const life = new Life(1_000_000).run("runs");
    full = true;
    // In one batch with the write that finds the disk full, so the shell could not pass it over.
    life.say([startOf("new"), { kind: "stop", attempt: "never-here", by: "ana", graceSeconds: 0 }], 5);
    const [hello] = published(life.put({ kind: "connected", connection: 2 }), "hello");
    expect(inventoryOf(hello as Hello)).toEqual([["runs", "running"]]);
    expect(hello).toMatchObject({ highestTerm: 1, firstUnackedSeq: 1, newestSeq: journal.durable().meta.nextSeq - 1 });
    full = false;
    life.retry();
    const [later] = published(life.put({ kind: "connected", connection: 3 }), "hello");
    expect(inventoryOf(later as Hello)).toEqual([
      ["runs", "running"],
      ["new", "accepted"],
      ["never-here", "ended", "stopped"],
    ]);
    expect(later).toMatchObject({ highestTerm: 5 });
  });

  test("hours without room hold one copy of each report, not one for each resend", () => {
    const life = new Life(1_000_000).run("a", "b");
    full = true;
    life.put(ended("a"));
    life.put(ended("b"));
    for (let minutes = 0; minutes < 240; minutes += 1) life.pass(60_000);
    full = false;
    const seqs = reported(life.retry()).map(({ seq }) => seq);
    expect(seqs).toEqual([...new Set(seqs)]);
    expect(seqs).toHaveLength(journal.reports().length);
  });
});
