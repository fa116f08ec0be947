import { describe, expect, test } from "vitest";
import { commitUntilHeld, type CommitOutcome } from "../../../manager/engine/commit.ts";
import { StoreError, type Batch, type CommitResult, type LeaseRow } from "../../../manager/store/store.ts";

const batch: Batch = { pool: "default", term: 3, batch: 8, changes: [{ op: "deleteKeys", before: 1 }] };

/** A store whose commits answer as scripted; `row` is the lease that it holds. */
class ScriptedStore {
  row: LeaseRow = { pool: "default", holder: "m", term: 3, batch: 7, beat: 0 };
  readonly commits: Batch[] = [];
  readonly #script: ((store: ScriptedStore, batch: Batch) => CommitResult)[];
  constructor(script: ((store: ScriptedStore, batch: Batch) => CommitResult)[]) {
    this.#script = script;
  }
  commit(b: Batch): Promise<CommitResult> {
    this.commits.push(b);
    const next = this.#script.shift() ?? plain;
    return Promise.resolve().then(() => next(this, b));
  }
  readLease(): Promise<LeaseRow> {
    return Promise.resolve(this.row);
  }
}

/** What a sound store does: lands when the number is the next one of the term. */
function plain(store: ScriptedStore, b: Batch): CommitResult {
  if (b.term !== store.row.term || b.batch !== store.row.batch + 1) return "deposed";
  store.row = { ...store.row, batch: b.batch };
  return "applied";
}
const fails = (kind: "transient" | "permanent", outcomeKnown: boolean) => (): CommitResult => {
  throw new StoreError(kind, outcomeKnown, `scripted ${kind}`);
};
/** Commits, and then answers with an error. */
const landsAndFails =
  (kind: "transient" | "permanent") =>
  (store: ScriptedStore, b: Batch): CommitResult => {
    plain(store, b);
    throw new StoreError(kind, false, "the connection was lost");
  };

async function run(store: ScriptedStore): Promise<CommitOutcome> {
  return await commitUntilHeld(batch, {
    store,
    signal: new AbortController().signal,
    onTrouble: () => undefined,
    retry: { firstMs: 0, maxMs: 0 },
  });
}

describe("a batch is committed until it holds", () => {
  test("at once", async () => {
    expect(await run(new ScriptedStore([]))).toEqual({ kind: "applied" });
  });

  test("after the database was away, with the same number and content", async () => {
    const store = new ScriptedStore(Array.from({ length: 5 }, () => fails("transient", true)));
    expect(await run(store)).toEqual({ kind: "applied" });
    expect(new Set(store.commits)).toEqual(new Set([batch]));
    expect(store.row.batch).toBe(8);
  });

  test("a try that landed and answered with an error counts once", async () => {
    const store = new ScriptedStore([landsAndFails("transient")]);
    expect(await run(store)).toEqual({ kind: "applied" });
    expect(store.row.batch).toBe(8);
  });

  test("another term's lease is a deposition, also after an unknown outcome", async () => {
    const store = new ScriptedStore([fails("transient", false)]);
    store.row = { ...store.row, term: 4 };
    expect(await run(store)).toEqual({ kind: "deposed" });
  });

  test("after an unknown outcome only our term and our number together say that it landed", async () => {
    // Another leader has committed a batch of the same number: ours never landed.
    const anothers = new ScriptedStore([fails("transient", false)]);
    anothers.row = { ...anothers.row, term: 4, batch: 8 };
    expect(await run(anothers)).toEqual({ kind: "deposed" });
    // Our term, and not our number: a database that was taken back.
    const takenBack = new ScriptedStore([fails("transient", false)]);
    takenBack.row = { ...takenBack.row, batch: 5 };
    expect(await run(takenBack)).toEqual({ kind: "deposed" });
  });

  test("rows that cannot be are a failure, and their number is free", async () => {
    const store = new ScriptedStore([fails("permanent", true)]);
    expect(await run(store)).toMatchObject({ kind: "failed", numberUsed: false });
    expect(store.row.batch).toBe(7);
  });

  test("a permanent error after an unknown outcome: an empty batch of the same number decides", async () => {
    const notLanded = new ScriptedStore([fails("transient", false), fails("permanent", true)]);
    expect(await run(notLanded)).toMatchObject({ kind: "failed", numberUsed: true });
    expect(notLanded.commits.at(-1)?.changes).toEqual([]);
    expect(notLanded.row.batch).toBe(8);

    const landed = new ScriptedStore([landsAndFails("transient"), fails("permanent", true)]);
    expect(await run(landed)).toEqual({ kind: "applied" });
    expect(landed.row.batch).toBe(8);
  });

  test("an empty batch whose own answer was lost decides nothing: nobody is told that the rows were refused", async () => {
    const first = fails("transient", false);
    const second = fails("permanent", true);
    const emptyLanded = new ScriptedStore([first, second, landsAndFails("transient")]);
    expect(await run(emptyLanded)).toEqual({ kind: "deposed" });
    // The first try arrives while the empty batch is on its way, and takes the number from it.
    const contentLanded = new ScriptedStore([
      first,
      second,
      (store) => {
        plain(store, batch);
        throw new StoreError("transient", false, "no answer");
      },
    ]);
    expect(await run(contentLanded)).toEqual({ kind: "deposed" });
    const neither = new ScriptedStore([first, second, first]);
    expect(await run(neither)).toMatchObject({ kind: "failed", numberUsed: true });
  });

  test("an error that nobody classified is permanent at its third time", async () => {
    const odd = (): CommitResult => {
      throw new Error("error 12345");
    };
    const store = new ScriptedStore([odd, odd, odd]);
    expect(await run(store)).toMatchObject({ kind: "failed" });
    expect(store.commits.filter((b) => b.changes.length > 0)).toHaveLength(3);
    const twice = new ScriptedStore([odd, odd]);
    expect(await run(twice)).toEqual({ kind: "applied" });
  });

  test("stops when told, while the database is away", async () => {
    const stop = new AbortController();
    const store = new ScriptedStore([
      () => {
        stop.abort();
        throw new StoreError("transient", true, "away");
      },
    ]);
    expect(
      await commitUntilHeld(batch, { store, signal: stop.signal, onTrouble: () => undefined, retry: { firstMs: 0, maxMs: 0 } }),
    ).toEqual({ kind: "stopped" });
  });
});
