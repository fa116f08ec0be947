import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { lookForStatusesOnly } from "../../broker/retained.ts";
import { downlinkFilter, uplinkFilter, uplinkTopic } from "../../schema/topics.ts";

/** What was looked for, and what came of it. */
async function lookedFor(...filters: string[]): Promise<{ readonly asked: string[][]; readonly found: unknown[] }> {
  const asked: string[][] = [];
  const persistence = {
    createRetainedStreamCombi(these: string[]): Readable {
      asked.push(these);
      return Readable.from(these);
    },
  };
  lookForStatusesOnly(persistence, "muster");
  return { found: await persistence.createRetainedStreamCombi(filters).toArray(), asked };
}

test("a worker's own filter is not tried on every status of the fleet", async () => {
  expect(await lookedFor(downlinkFilter("muster", "default", "edge-7"))).toEqual({ asked: [], found: [] });
});

test("every filter that a status matches is looked for as ever", async () => {
  const filters = [
    uplinkFilter("muster", "default"),
    uplinkTopic("muster", "default", "edge-7", "status"),
    "muster/v1/#",
    "muster/v1/default/edge-7/+/+",
  ];
  expect(await lookedFor(...filters)).toEqual({ asked: [filters], found: filters });
  expect((await lookedFor("muster/v1/default/edge-7/down/+", "muster/v1/#")).asked).toEqual([["muster/v1/#"]]);
});
