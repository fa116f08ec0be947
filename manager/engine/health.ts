/** What `/health` and `/readyz` say of pools: of those led here from their engines, of others what their leaders say. */
import type { Alarm } from "../control/core.ts";
import { alarms } from "../control/view.ts";
import type { Peers } from "../peers/peers.ts";
import type { Seen } from "../peers/views.ts";
import type { Check } from "../plane.ts";
import type { PlaneDeps } from "./plane.ts";

export interface Readiness {
  readonly ready: boolean;
  readonly sentence: string;
}

/** Whether requests for every pool would be taken now. */
export async function readiness(deps: PlaneDeps): Promise<Readiness> {
  const here: string[] = [];
  const elsewhere: string[] = [];
  for (const [pool, { trouble, lead }] of deps.engines) {
    if (trouble) return { ready: false, sentence: `pool ${pool}: the database is in trouble: ${trouble.sentence}` };
    if (lead) {
      here.push(pool);
      continue;
    }
    if (!deps.peers) return { ready: false, sentence: `pool ${pool}: this manager does not lead it yet` };
    const seen = await deps.peers.views.health(pool);
    if (seen.kind === "unknown") return { ready: false, sentence: `pool ${pool}: ${seen.why}` };
    const apart = brokersApart(deps.peers, seen);
    if (apart !== undefined) return { ready: false, sentence: `pool ${pool}: ${apart}` };
    if (seen.view.trouble)
      return { ready: false, sentence: `pool ${pool}: the database is in trouble there: ${seen.view.trouble.sentence}` };
    elsewhere.push(`those for ${pool} are forwarded to ${seen.leader.holder.name}, which leads it`);
  }
  const led = here.length === 0 ? [] : [`this manager${ownName(deps)} leads ${here.join(", ")}`];
  return { ready: true, sentence: ["requests are taken", ...led, ...elsewhere].join("; ") };
}

/** One line or two for each pool. */
export async function poolChecks(deps: PlaneDeps): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [pool, { trouble, lead }] of deps.engines) {
    if (trouble)
      checks.push({
        name: `database:${pool}`,
        status: "fail",
        sentence: `the last commit does not hold since ${new Date(trouble.sinceWall).toISOString()}: ${trouble.sentence}`,
      });
    else if (lead)
      checks.push({
        name: `leader:${pool}`,
        status: "pass",
        sentence: `leads with term ${lead.term}${ownName(deps)}${reachedAt(deps)}`,
      });
    else if (deps.peers) checks.push(...elsewhereChecks(pool, deps.peers, await deps.peers.views.health(pool)));
    else checks.push({ name: `leader:${pool}`, status: "fail", sentence: "nobody leads the pool here yet" });
  }
  return checks;
}

/** The name that the other managers call it by. */
function ownName({ peers }: PlaneDeps): string {
  return peers ? ` (${peers.self.name})` : "";
}

function reachedAt({ peers }: PlaneDeps): string {
  return peers && peers.self.address === null
    ? "; it announces no address, so that no other manager can forward to it (MUSTER_MANAGER_ADDRESS)"
    : "";
}

function elsewhereChecks(pool: string, peers: Peers, seen: Seen): Check[] {
  const name = `leader:${pool}`;
  if (seen.kind === "unknown") return [{ name, status: "fail", sentence: seen.why }];
  const { leader, view } = seen;
  // Without its address: anybody may ask for /health.
  const who = leader.holder.name;
  const checks: Check[] = [
    { name, status: "pass", sentence: `${who} leads with term ${view.term}; requests are forwarded to it` },
  ];
  const { trouble } = view;
  if (trouble)
    checks.push({
      name: `database:${pool}`,
      status: "fail",
      sentence: `${who} says that its last commit does not hold since ${new Date(trouble.sinceWall).toISOString()}: ${trouble.sentence}`,
    });
  const apart = brokersApart(peers, seen);
  if (apart !== undefined) checks.push({ name: `broker:${pool}`, status: "fail", sentence: apart });
  return checks;
}

/** Why this manager and a leader do not hear the same workers; undefined when nothing says so. */
function brokersApart(peers: Peers, seen: Extract<Seen, { readonly kind: "whole" }>): string | undefined {
  if (peers.broker === "apart" && seen.broker === "apart") return undefined;
  const whose = peers.broker === "inside" ? "this manager has" : `${seen.leader.holder.name}, which leads the pool, has`;
  return `${whose} a broker inside, whose workers no other manager hears; give all managers of this database one broker (MUSTER_BROKER_URL)`;
}

/** Of the pools led here, and of others as their leaders say. */
export async function allAlarms(deps: PlaneDeps): Promise<Alarm[]> {
  const all: Alarm[] = [];
  for (const [pool, { lead }] of deps.engines) {
    if (lead) all.push(...alarms(lead.state, deps.clock.now()));
    else {
      const seen = await deps.peers?.views.health(pool);
      if (seen?.kind === "whole") all.push(...seen.view.alarms);
    }
  }
  return all;
}
