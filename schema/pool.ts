import * as z from "zod";
import { id } from "./ids.ts";

/** What may hold a pool, for a person to let go: the hold of a restored database, or the fleet brake. */
export const releaseWhats = ["restored", "brake"] as const;
export type ReleaseWhat = (typeof releaseWhats)[number];

/** A pool as the API shows it. */
export const poolView = z.strictObject({
  id: id.describe("its name"),
  leader: z.string().nullable().describe("the manager that has the lease, or had it last; null when it was given back"),
  term: z.int(),
  reason: z.string().nullable().describe("why nothing is placed, or why the leader's own word is missing, in one sentence"),
  restored: z
    .strictObject({
      since: z.iso.datetime(),
      why: z.string(),
      by: z.string().nullable().describe("who said that the database was taken back; null: the leader saw it by itself"),
      byReason: z.string().nullable(),
      letGo: z.boolean().describe("somebody let the runs go; ledgers that are still to come are read all the same"),
      waitsFor: z.array(id).describe("workers that have not sent their ledger, the first 20"),
    })
    .nullable()
    .describe("the database was taken back in time, and nothing is placed until every worker has said what it ended since"),
  brake: z
    .strictObject({ silent: z.int(), sentence: z.string() })
    .nullable()
    .describe("many workers fell silent at once, and none of them is declared lost"),
});
export type PoolView = z.infer<typeof poolView>;
