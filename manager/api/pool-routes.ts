/** Pools: who leads each, what holds it, and a person's word that lets it go. */
import * as z from "zod";
import { id } from "../../schema/ids.ts";
import { requestLimits } from "../../schema/limits.ts";
import { poolView, releaseWhats, type PoolView, type ReleaseWhat } from "../../schema/pool.ts";
import { problem } from "../../schema/problem.ts";
import type { HoldRecord } from "../control/records.ts";
import { parseHolder } from "../peers/holder.ts";
import type { LeaseRow } from "../store/store.ts";
import type { ApiParts } from "./deps.ts";
import { poolExample } from "./examples.ts";
import { cursor, limit, pageOf, pageReply, sentence } from "./queries.ts";
import { json, route, type AnyRoute } from "./route.ts";
import { instant } from "./views.ts";

const tag = "pools";
const byPool = z.strictObject({ id });
const shown = { description: "the pool", content: { "application/json": poolView }, example: poolExample };

async function viewOf(parts: ApiParts, lease: LeaseRow, hold: HoldRecord | undefined): Promise<PoolView> {
  const held = await parts.plane.poolHeld(lease.pool);
  const unknown = "unknown" in held ? held.unknown : null;
  const live = "unknown" in held ? undefined : held;
  return {
    id: lease.pool,
    leader: parseHolder(lease.holder)?.name ?? null,
    term: lease.term,
    reason: live ? (live.hold ?? live.brake?.sentence ?? null) : unknown,
    restored: hold
      ? {
          since: instant(hold.since),
          why: hold.why,
          by: hold.by,
          byReason: hold.byReason,
          letGo: hold.letGo,
          waitsFor: [...(live?.waitsFor ?? [])],
        }
      : null,
    brake: live?.brake ? { silent: live.brake.silent, sentence: live.brake.sentence } : null,
  };
}

async function poolOf(parts: ApiParts, pool: string): Promise<PoolView> {
  const [leases, holds] = await Promise.all([parts.store.leases(), parts.store.holds()]);
  const lease = leases.find((row) => row.pool === pool);
  if (!lease) throw problem("not-found", `there is no pool ${pool}`);
  return await viewOf(
    parts,
    lease,
    holds.find((row) => row.pool === pool),
  );
}

const listPools = route(
  {
    method: "get",
    path: "/pools",
    operationId: "listPools",
    tag,
    summary: "List pools",
    permission: "pools:read",
    query: z.strictObject({ limit, cursor }),
    replies: {
      200: {
        description: "a page of pools, by name",
        content: { "application/json": pageOf(poolView) },
        example: { items: [poolExample], next: null },
        headers: { Link: "the next page" },
      },
    },
    problems: ["malformed"],
  },
  async ({ parts, query, request }) => {
    const [leases, holds] = await Promise.all([parts.store.leases(), parts.store.holds()]);
    const after = query.cursor ?? "";
    const rest = leases.filter((row) => row.pool > after).toSorted((a, b) => (a.pool < b.pool ? -1 : 1));
    const rows = rest.slice(0, query.limit ?? requestLimits.listDefault);
    const items = await Promise.all(
      rows.map((lease) =>
        viewOf(
          parts,
          lease,
          holds.find((hold) => hold.pool === lease.pool),
        ),
      ),
    );
    const next = rows.length < rest.length ? (rows.at(-1)?.pool ?? null) : null;
    return pageReply(request, { items, next }, (item) => item);
  },
);

const getPool = route(
  {
    method: "get",
    path: "/pools/{id}",
    operationId: "getPool",
    tag,
    summary: "Show a pool",
    permission: "pools:read",
    params: byPool,
    replies: { 200: shown },
    problems: ["malformed", "not-found"],
  },
  async ({ parts, params }) => json(200, await poolOf(parts, params.id)),
);

const releaseBody = z.strictObject({
  what: z.enum(releaseWhats).describe("`restored`: place the queued runs; `brake`: the silent workers may be declared lost"),
  reason: sentence.nullable().default(null),
});

const releasePool = route<{ id: string }, Record<never, never>, { what: ReleaseWhat; reason: string | null }>(
  {
    method: "post",
    path: "/pools/{id}/release",
    operationId: "releasePool",
    tag,
    summary: "Let go what holds a pool",
    description:
      "`restored`: queued runs are placed although workers have not said what they ended since the backup, so what ran there may run again. " +
      "`brake`: the workers that fell silent together are declared lost, at a bounded rate. What is not held stays as it is, and that is 200 too.",
    permission: "pools:write",
    params: byPool,
    body: {
      kind: "json",
      schema: releaseBody,
      optional: false,
      types: ["application/json"],
      example: { what: "restored", reason: "edge-9 burnt down" },
    },
    replies: { 200: shown },
    problems: ["malformed", "not-found", "too-large", "unsupported-type"],
  },
  async ({ parts, params, body, by }) => {
    await poolOf(parts, params.id);
    await parts.plane.ask(params.id, { kind: "releasePool", what: body.what, by, byReason: body.reason });
    return json(200, await poolOf(parts, params.id));
  },
);

export const poolRoutes: readonly AnyRoute[] = [listPools, getPool, releasePool];
