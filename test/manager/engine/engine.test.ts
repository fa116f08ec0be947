import { describe, expect, test } from "vitest";
import { StoreError } from "../../../manager/store/store.ts";
import { until } from "../../kit/until.ts";
import { createTask, hello, makeRig, problemOf } from "./rig.ts";

describe("promise 1: what is answered is durable", () => {
  test("an answer and its events wait for the commit", async () => {
    const rig = await makeRig();
    let letGo: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    let reached: () => void = () => undefined;
    const committing = new Promise<void>((resolve) => (reached = resolve));
    rig.fault = async (_batch, commit) => {
      reached();
      await gate;
      return await commit();
    };
    let answered = false;
    const outcome = rig.engine.ask(createTask("a")).then((each) => {
      answered = true;
      return each;
    });
    await committing;
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    expect(rig.events).toEqual([]);
    letGo();
    expect(await outcome).toMatchObject({ kind: "task", created: true });
    expect(rig.events.map((event) => event.kind)).toContain("taskCreated");
    expect(await rig.store.task("id-a")).not.toBeNull();
  });

  test("many requests that wait share one commit", async () => {
    const rig = await makeRig();
    const sizes: number[] = [];
    rig.fault = async (batch, commit) => {
      sizes.push(batch.changes.filter((change) => change.op === "insertTask").length);
      return await commit();
    };
    await Promise.all(Array.from({ length: 50 }, (_, i) => rig.engine.ask(createTask(`t${i}`))));
    expect(Math.max(...sizes)).toBe(50);
  });

  test("requests of several sockets that are read in one turn of the event loop share one commit", async () => {
    const rig = await makeRig();
    const sizes: number[] = [];
    rig.fault = async (batch, commit) => {
      sizes.push(batch.changes.filter((change) => change.op === "insertTask").length);
      return await commit();
    };
    const answers: Promise<unknown>[] = [];
    for (let socket = 0; socket < 8; socket += 1) {
      answers.push(rig.engine.ask(createTask(`t${socket}`)));
      // What is done behind one socket's callback is done before the next socket is read.
      for (let step = 0; step < 20; step += 1) await Promise.resolve();
    }
    await Promise.all(answers);
    expect(sizes.filter((size) => size > 0)).toEqual([8]);
  });
});

describe("rule 19 and 20: a database in trouble", () => {
  test("the batch is tried until it holds, and meanwhile the door is closed", async () => {
    const rig = await makeRig();
    let away = true;
    let tries = 0;
    rig.fault = async (_batch, commit) => {
      tries += 1;
      if (away) throw new StoreError("transient", true, "the database is away");
      return await commit();
    };
    const held = rig.engine.ask(createTask("held"));
    await until("the trouble to show", () => rig.engine.trouble);
    expect(await problemOf(async () => await rig.engine.ask(createTask("late")))).toBe("not-taken");
    away = false;
    expect(await held).toMatchObject({ kind: "task" });
    expect(tries).toBeGreaterThan(1);
    await until("the door to be open again", () => rig.engine.trouble === undefined);
    expect(await rig.engine.ask(createTask("late"))).toMatchObject({ kind: "task" });
  });

  test("who is not stepped learns at once that nothing happened, however long the next try takes", async () => {
    const rig = await makeRig();
    const { promise: first, resolve: failFirst } = Promise.withResolvers<void>();
    const { promise: second, resolve: answerSecond } = Promise.withResolvers<void>();
    let tries = 0;
    rig.fault = async (_batch, commit) => {
      tries += 1;
      if (tries > 1) {
        await second;
        return await commit();
      }
      await first;
      throw new StoreError("transient", true, "the database is away");
    };
    const held = rig.engine.ask(createTask("held"));
    await until("the first try", () => tries === 1 || undefined);
    const waiting = problemOf(rig.engine.ask(createTask("waiting")));
    failFirst();
    expect(await waiting).toBe("not-taken");
    await until("the second try", () => tries === 2 || undefined);
    // The door is closed while a try is under way that nobody has answered.
    expect(await problemOf(async () => await rig.engine.ask(createTask("late")))).toBe("not-taken");
    answerSecond();
    expect(await held).toMatchObject({ kind: "task" });
    expect(await rig.store.task("id-waiting")).toBeNull();
    expect(await rig.store.task("id-late")).toBeNull();
  });

  test("a commit that lands and answers with an error counts once", async () => {
    const rig = await makeRig();
    let lost = false;
    rig.fault = async (batch, commit) => {
      const result = await commit();
      if (lost || batch.changes.length === 0) return result;
      lost = true;
      throw new StoreError("transient", false, "the connection was lost");
    };
    expect(await rig.engine.ask(createTask("once"))).toMatchObject({ kind: "task", created: true });
    expect((await rig.store.tasks({ limit: 10, cursor: null })).items).toHaveLength(1);
  });

  test("one row that cannot be takes none of its neighbours with it", async () => {
    const rig = await makeRig();
    rig.fault = async (batch, commit) => {
      const poisoned = batch.changes.some((change) => change.op === "insertTask" && change.row.name === "poison");
      if (poisoned) throw new StoreError("permanent", true, "a value is too long for its column");
      return await commit();
    };
    const names = ["a", "b", "poison", "c", "d"];
    const outcomes = await Promise.allSettled(names.map((name) => rig.engine.ask(createTask(name))));
    expect(outcomes.map((each) => each.status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"]);
    expect(await problemOf(async () => await rig.engine.ask(createTask("poison")))).toBe("internal");
    expect(await rig.engine.ask(createTask("after"))).toMatchObject({ kind: "task" });
    expect((await rig.store.tasks({ limit: 10, cursor: null })).items.map((task) => task.name).toSorted()).toEqual([
      "a",
      "after",
      "b",
      "c",
      "d",
    ]);
  });

  test("a message that cannot be stored is set aside, whole, and the pool goes on", async () => {
    const rig = await makeRig();
    rig.fault = async (batch, commit) => {
      if (batch.changes.some((change) => change.op === "insertWorker"))
        throw new StoreError("permanent", true, "a value is too long for its column");
      return await commit();
    };
    rig.engine.post(hello("w1"), 500);
    const [row] = await until("something to be set aside", async () => {
      const rows = await rig.store.setAside(10);
      return rows.length > 0 ? rows : undefined;
    });
    expect(row).toMatchObject({ source: "hello", pool: "default" });
    expect(JSON.parse(row?.raw ?? "")).toMatchObject({ kind: "hello", workerId: "w1" });
    expect(await rig.engine.ask(createTask("after"))).toMatchObject({ kind: "task" });
  });
});

test("rules 7 and 19: a state that was loaded anew knows nothing of what its own term had sent, so silence about it proves nothing", async () => {
  const rig = await makeRig();
  const firstTerm = rig.engine.lead?.term ?? 0;
  await rig.engine.ask(createTask("a"));
  rig.engine.post(hello("w1"), 500);
  await until(
    "the worker to be known",
    () => rig.sent.some(({ items }) => items.some(({ kind }) => kind === "sync")) || undefined,
  );
  const item = { taskId: "id-a", runId: "r1", mayExist: false, params: {}, workerId: null, labels: {}, trace: "" };
  const start = { ...item, idempotencyKey: null, bodyHash: "" };
  await rig.engine.ask({ kind: "startRun", item: start, by: "tester", byReason: null });
  const attempt = async () => (await rig.store.run("r1"))?.attempts[0];
  expect(await attempt()).toMatchObject({ number: 1, state: "sent" });
  rig.fault = async (batch, commit) => {
    if (batch.changes.some((change) => change.op === "insertTask"))
      throw new StoreError("permanent", true, "against a constraint");
    return await commit();
  };
  expect(await problemOf(async () => await rig.engine.ask(createTask("poison")))).toBe("internal");
  expect(rig.engine.lead?.term).toBeGreaterThan(firstTerm);

  // Written before the start came to it, and late: it had obeyed this leader already.
  rig.sent.length = 0;
  const late = hello("w1") as Extract<ReturnType<typeof hello>, { kind: "hello" }>;
  rig.engine.post({ ...late, message: { ...late.message, mono: 1_001, highestTerm: firstTerm } }, 500);
  await until("it to be answered", () => rig.sent.some(({ items }) => items.some(({ kind }) => kind === "sync")) || undefined);
  expect(await attempt()).toMatchObject({ number: 1, state: "sent", end: null });
});

test("rule 18: who loses the term throws its state away, tells who waits, and leads again only by taking the next term", async () => {
  const rig = await makeRig();
  const firstTerm = rig.engine.lead?.term ?? 0;
  rig.fault = async (_batch, commit) => {
    rig.fault = null;
    await rig.store.takeLease("default", "somebody else", await rig.store.readLease("default"), 0);
    return await commit();
  };
  expect(await problemOf(rig.engine.ask(createTask("lost")))).toBe("outcome-unknown");
  expect(await rig.store.task("id-lost")).toBeNull();
  const term = await until("it to lead again", () =>
    rig.engine.lead && rig.engine.lead.term > firstTerm ? rig.engine.lead.term : undefined,
  );
  expect(term).toBe(firstTerm + 2);
  expect(await rig.engine.ask(createTask("lost"))).toMatchObject({ kind: "task", created: true });
});

describe("where the lease is a row", () => {
  test("a leader with nothing to do moves it, so that no candidate sees it stand still", async () => {
    const rig = await makeRig({ leaseIsRow: true });
    const before = await rig.store.readLease("default");
    await until(
      "the row to move twice",
      async () => ((await rig.store.readLease("default"))?.batch ?? 0) >= (before?.batch ?? 0) + 2,
    );
    expect((await rig.store.readLease("default"))?.term).toBe(before?.term);
  });

  test("a leader with nothing to do learns that it was deposed", async () => {
    const rig = await makeRig({ leaseIsRow: true });
    const { term } = (await rig.store.takeLease("default", "somebody else", await rig.store.readLease("default"), 0)) ?? {
      term: 0,
    };
    expect(await until("it to lead again", () => (rig.engine.lead?.term ?? 0) > term && rig.engine.lead?.term)).toBe(term + 1);
  });
});

test("who has led leads again above every term that it saw: a database may have been switched to one that never heard of it, workers have", async () => {
  const rig = await makeRig({ leaseIsRow: true });
  const other = await rig.store.takeLease("default", "another", await rig.store.readLease("default"), 40);
  await until("it to take the lease anew", () => rig.takenAbove.length > 1);
  expect(rig.takenAbove).toEqual([0, other?.term]);
});

test("an answer that changes nothing is a leader's too: who does not know yet that it was deposed gives none", async () => {
  const rig = await makeRig({ leaseIsRow: true });
  await rig.engine.ask(createTask("a"));
  const lease = await rig.store.readLease("default");
  await rig.store.takeLease("default", "somebody else", lease, 0);
  expect(await problemOf(rig.engine.ask({ ...createTask("a"), id: "another" } as ReturnType<typeof createTask>))).toBe(
    "outcome-unknown",
  );
});

test("a leader that stops gives its lease back as the last thing; one whose database is away does not wait for it for ever", async () => {
  const rig = await makeRig({ leaseIsRow: true });
  await rig.engine.ask(createTask("before"));
  await rig.engine.stop();
  expect(await rig.store.readLease("default")).toMatchObject({ holder: "", term: 1 });
  const away = await makeRig({ leaseIsRow: true });
  away.store.releaseLease = async () => await new Promise(() => undefined);
  await away.engine.stop();
});

test("rule 28: a worker that has obeyed a higher term makes the manager lead above it", async () => {
  const rig = await makeRig();
  const said = hello("w1");
  if (said.kind !== "hello") throw new Error("no hello");
  rig.engine.post({ ...said, message: { ...said.message, highestTerm: 41 } }, 500);
  expect(await until("the next term", () => (rig.engine.lead?.term ?? 0) > 41 && rig.engine.lead?.term)).toBe(42);
});
