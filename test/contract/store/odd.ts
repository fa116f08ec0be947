import { describe, expect, test } from "vitest";
import type { Change } from "../../../manager/control/changes.ts";
import { openFor, type OpenForTest } from "./open.ts";
import { attempt, event, key, lead, pool, run, task, version, worker } from "./rows.ts";

/** Text that databases have been seen to fold, trim, cut or take for something else. */
const oddTexts = [
  "",
  " ",
  "a",
  "a ",
  " a",
  "A",
  "á",
  "a\u0301",
  "%",
  "_",
  "a%",
  "'; DROP TABLE runs; --",
  '"',
  "`",
  "\\",
  "\\'",
  "=",
  "k=v",
  "\n\t",
  "日本",
  "😀",
  "ẞ",
  "ß",
  "ss",
  "\uFFFD",
  "null",
  "0",
  "-",
];

export function oddContract(open: OpenForTest): void {
  describe("odd values", () => {
    test("labels are told apart exactly", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      await leader.commit(
        ...oddTexts.flatMap((value, at): Change[] => [
          { op: "insertRun", row: run({ id: `r${at}`, order: at + 1, labels: { odd: value } }) },
          { op: "insertTask", row: task({ id: `t${at}`, name: `n${at}`, labels: { odd: value } }) },
          { op: "insertWorker", row: worker({ id: `w${at}`, ownLabels: { odd: value } }) },
        ]),
      );
      for (const [at, value] of oddTexts.entries()) {
        const label = { key: "odd", value };
        expect((await store.runs({ limit: 9, cursor: null, label })).items, value).toEqual([
          run({ id: `r${at}`, order: at + 1, labels: { odd: value } }),
        ]);
        expect(
          (await store.tasks({ limit: 9, cursor: null, label })).items.map((row) => row.id),
          value,
        ).toEqual([`t${at}`]);
        expect(
          (await store.workers({ limit: 9, cursor: null, label })).items.map((row) => row.id),
          value,
        ).toEqual([`w${at}`]);
      }
    });

    test("ids, keys and names that differ in case alone, or in a blank at the end, are different", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      const ids = ["edge-a", "edge-A", "Edge-a"];
      await leader.commit(
        ...ids.flatMap((id, at): Change[] => [
          { op: "insertTask", row: task({ id, name: id }) },
          { op: "insertRun", row: run({ id, order: at + 1 }) },
          { op: "insertAttempt", row: attempt({ id, runId: id }) },
          { op: "insertWorker", row: worker({ id }) },
          { op: "insertJournal", row: { workerId: "w", journal: id, applied: at } },
        ]),
        ...["a", "a ", "A"].map((name): Change => ({ op: "insertKey", row: key({ key: name, runId: `of ${name}` }) })),
      );
      await leader.commit(
        { op: "updateRun", id: "edge-A", set: { state: "lost" } },
        { op: "updateWorker", id: "edge-A", set: { state: "online" } },
      );
      for (const id of ids) {
        expect((await store.task(id))?.name).toBe(id);
        expect((await store.taskByName(pool, id))?.id).toBe(id);
        expect((await store.run(id))?.run.state).toBe(id === "edge-A" ? "lost" : "queued");
        expect((await store.run(id))?.attempts.map((one) => one.id)).toEqual([id]);
        expect((await store.worker(id))?.state).toBe(id === "edge-A" ? "online" : "neverSeen");
      }
      const keys = await store.load(
        pool,
        ["a", "a ", "A"].map((name) => ({ need: "key", taskId: "t1", key: name }) as const),
      );
      expect(keys.map((one) => one.need === "key" && one.found?.runId)).toEqual(["of a", "of a ", "of A"]);
    });

    test("long texts come back whole", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      const long = "0123456789abcdé\n".repeat(4_096).slice(0, 65_535) + "!";
      const labels = Object.fromEntries(
        Array.from({ length: 64 }, (_, at) => [`key${at}/`.padEnd(63, "k"), "\u0001".repeat(255)]),
      );
      const params = { text: "\u0001".repeat(16_000) };
      const definition = { ...version().definition, env: { BIG: long.repeat(4) } };
      await leader.commit(
        { op: "insertTask", row: task({ labels }) },
        { op: "insertVersion", row: version({ definition }) },
        {
          op: "insertRun",
          row: run({ labels, params, result: JSON.stringify(long), end: { how: "lost", why: "w".repeat(500) } }),
        },
        { op: "insertEvent", row: event({ data: { long } }) },
        { op: "insertSetAside", row: { id: "s", pool, at: 1, source: "x", why: "y", raw: long } },
      );
      expect(await store.task("t1")).toEqual(task({ labels }));
      expect((await store.version("t1", 1))?.definition).toEqual(definition);
      expect((await store.run("r1"))?.run).toEqual(
        run({ labels, params, result: JSON.stringify(long), end: { how: "lost", why: "w".repeat(500) } }),
      );
      expect((await store.events({ limit: 1, after: {} }))[0]?.data).toEqual({ long });
      expect((await store.setAside(1))[0]?.raw).toBe(long);
      expect(
        (await store.runs({ limit: 1, cursor: null, label: { key: "key63/".padEnd(63, "k"), value: "\u0001".repeat(255) } }))
          .items,
      ).toHaveLength(1);
    });

    test("numbers come back exactly", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      const big = Number.MAX_SAFE_INTEGER;
      await leader.commit(
        { op: "insertRun", row: run({ order: big, createdAt: big, tries: 0, endedAt: 0 }) },
        { op: "insertEvent", row: event({ number: big, at: big }) },
      );
      expect((await store.run("r1"))?.run).toEqual(run({ order: big, createdAt: big, tries: 0, endedAt: 0 }));
      expect(await store.loadLive(pool)).toMatchObject({ lastEvent: big });
      const page = await store.runs({ limit: 1, cursor: null, since: big });
      expect(page.items).toHaveLength(1);
    });

    test("a map may have a key that objects inherit", async () => {
      const { store } = await openFor(open);
      const leader = await lead(store);
      const data = JSON.parse('{"__proto__": {"a": 1}, "constructor": "c"}') as Record<string, unknown>;
      await leader.commit({ op: "insertEvent", row: event({ data }) });
      const read = (await store.events({ limit: 1, after: {} }))[0]?.data ?? {};
      expect(JSON.stringify(read)).toBe(JSON.stringify(data));
      expect(({} as { a?: number }).a).toBeUndefined();
      expect((await store.runs({ limit: 1, cursor: null, label: { key: "constructor", value: "c" } })).items).toEqual([]);
    });
  });
}
