import { expect, test } from "vitest";
import { StoreError } from "../../../manager/store/store.ts";
import { makePoolFinder } from "../../../manager/api/pools.ts";
import { ProblemError, type Problem } from "../../../schema/problem.ts";
import { taskRow } from "./rows.ts";

interface Beside {
  readonly alone?: boolean;
  trouble?: string | undefined;
}

function finder({ alone = false, trouble }: Beside, found: () => unknown) {
  let reads = 0;
  const read = async (): Promise<never> => {
    reads += 1;
    return found() as never;
  };
  const plane = { pools: ["default"], alone, trouble, serves: async (pool: string) => (await read(), pool === "east") };
  return { pools: makePoolFinder(plane, { task: read, run: read, worker: read }), reads: () => reads };
}

async function problemOf(work: Promise<unknown>): Promise<Problem> {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (error instanceof ProblemError) return error.problem;
  throw new Error(`no problem came, but ${String(error)}`);
}

test("beside other managers a task may be of a pool that is not served here; it is looked up once", async () => {
  const { pools, reads } = finder({}, () => taskRow({ pool: "east" }));
  expect([await pools.ofTask("t1"), await pools.ofTask("t1")]).toEqual(["east", "east"]);
  expect(reads()).toBe(1);
  await pools.mustBeLed("default");
  expect(reads()).toBe(1);
  await pools.mustBeLed("east");
  expect(await problemOf(pools.mustBeLed("west"))).toMatchObject({ code: "impossible" });
});

test("alone, nothing is read to find the only pool", async () => {
  const { pools, reads } = finder({ alone: true }, () => null);
  expect([await pools.ofTask("t1"), await pools.ofRun("r1")]).toEqual(["default", "default"]);
  expect(reads()).toBe(0);
});

test("a store in trouble means that nothing was taken; where that is known nobody waits for a read", async () => {
  const away = new StoreError("transient", true, "The database does not answer.");
  const { pools } = finder({}, () => {
    throw away;
  });
  for (const asked of [pools.ofTask("t1"), pools.ofRun("r1"), pools.ofWorker("w1"), pools.mustBeLed("east")])
    expect(await problemOf(asked)).toMatchObject({
      code: "not-taken",
      detail: expect.stringContaining("does not answer"),
      retryAfterSeconds: 2,
    });
  const known = finder({ trouble: "The database does not answer." }, () => null);
  expect(await problemOf(known.pools.ofTask("t1"))).toMatchObject({
    code: "not-taken",
    detail: expect.stringContaining("does not answer"),
  });
  expect(known.reads()).toBe(0);
});
