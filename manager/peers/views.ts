/** What leaders know of pools that they lead and this manager does not: one question to each, and nobody waits for it long. */
import type { Clock } from "../../schema/kit/clock.ts";
import { peerLimits } from "../../schema/limits/peers.ts";
import type { Leader, LeaderBook } from "./book.ts";
import type { PeerCaller, Reply } from "./caller.ts";
import { noAddress, whoAnswers } from "./forward.ts";
import {
  peerVersion,
  viewPath,
  type BrokerPlace,
  type PoolQuestion,
  type PoolView,
  type View,
  type ViewAnswer,
} from "./messages.ts";

export interface ViewsDeps {
  readonly name: string;
  readonly broker: BrokerPlace;
  readonly book: LeaderBook;
  readonly caller: Pick<PeerCaller, "call">;
  readonly clock: Clock;
}

/** `whole` where the leader answered, with who and where it is; else one sentence that says why nothing is known. */
export type Seen =
  | { readonly kind: "whole"; readonly leader: Elsewhere; readonly broker: BrokerPlace; readonly view: PoolView }
  | { readonly kind: "unknown"; readonly why: string };

type Elsewhere = Extract<Leader, { readonly kind: "elsewhere" }>;

const nothingAsked: PoolQuestion = { runs: [], workers: [] };

export class LeaderViews {
  readonly #deps: ViewsDeps;
  /** Leader → until when it is not asked again, and why. */
  readonly #silent = new Map<string, { readonly untilMs: number; readonly why: string }>();
  readonly #health = new Map<string, { readonly atMs: number; readonly seen: Promise<Seen> }>();

  constructor(deps: ViewsDeps) {
    this.#deps = deps;
  }

  /** What the leaders of these pools say to the questions; one request to each leader. Never rejects. */
  async ask(questions: ReadonlyMap<string, PoolQuestion>): Promise<ReadonlyMap<string, Seen>> {
    const seen = new Map<string, Seen>();
    const byLeader = new Map<
      string,
      { readonly name: string; readonly address: string; readonly pools: Map<string, Elsewhere> }
    >();
    const leaders = await Promise.all([...questions.keys()].map(async (pool) => [pool, await this.#leaderOf(pool)] as const));
    for (const [pool, leader] of leaders) {
      if ("why" in leader) seen.set(pool, { kind: "unknown", why: leader.why });
      else {
        const { name, address } = leader.holder;
        const one = byLeader.get(name) ?? { name, address: address ?? "", pools: new Map<string, Elsewhere>() };
        one.pools.set(pool, leader);
        byLeader.set(name, one);
      }
    }
    await Promise.all(
      [...byLeader.values()].map(async ({ name, address, pools }) => {
        const asked = [...pools.keys()].map((pool) => [pool, questions.get(pool) ?? nothingAsked] as const);
        const answer = await this.#askOne({ name, address }, Object.fromEntries(asked));
        for (const [pool, leader] of pools) seen.set(pool, seenIn(answer, pool, leader));
      }),
    );
    return seen;
  }

  /** The leader's own word on its health, kept for `healthKeptMs`: anybody may ask for it. */
  async health(pool: string): Promise<Seen> {
    const atMs = this.#deps.clock.now().mono;
    const kept = this.#health.get(pool);
    if (kept && atMs - kept.atMs < peerLimits.healthKeptMs) return await kept.seen;
    const seen = this.ask(new Map([[pool, nothingAsked]])).then((all) => all.get(pool) as Seen);
    this.#health.set(pool, { atMs, seen });
    return await seen;
  }

  async #leaderOf(pool: string): Promise<Elsewhere | { readonly why: string }> {
    let leader: Leader;
    try {
      leader = await this.#deps.book.of(pool);
    } catch (error) {
      return { why: `who leads the pool ${pool} cannot be read: ${error instanceof Error ? error.message : String(error)}` };
    }
    if (leader.kind !== "elsewhere") return { why: `nobody leads the pool ${pool} now` };
    if (leader.holder.address !== null) return leader;
    return { why: noAddress(pool, leader.holder.name) };
  }

  async #askOne(
    to: { readonly name: string; readonly address: string },
    pools: View["pools"],
  ): Promise<ViewAnswer | { readonly why: string }> {
    const nowMs = this.#deps.clock.now().mono;
    for (const [name, { untilMs }] of this.#silent) if (untilMs <= nowMs) this.#silent.delete(name);
    const silent = this.#silent.get(to.name);
    if (silent) return { why: silent.why };
    const body = JSON.stringify({ v: peerVersion, broker: this.#deps.broker, pools } satisfies View);
    const reply = await this.#deps.caller.call({ to, path: viewPath, body, withinMs: peerLimits.viewMs });
    if (reply.kind === "answered") return JSON.parse(reply.text) as ViewAnswer;
    const why = `${to.name} at ${to.address} does not answer: ${whyOf(reply, this.#deps.name)}`;
    this.#silent.set(to.name, { untilMs: this.#deps.clock.now().mono + peerLimits.silentMs, why });
    return { why };
  }
}

function whyOf(reply: Exclude<Reply, { readonly kind: "answered" }>, name: string): string {
  return reply.kind === "elsewhere" ? whoAnswers(reply.by, name) : reply.why;
}

function seenIn(answer: ViewAnswer | { readonly why: string }, pool: string, leader: Elsewhere): Seen {
  if ("why" in answer) return { kind: "unknown", why: answer.why };
  const view = answer.pools[pool];
  if (view) return { kind: "whole", leader, broker: answer.broker, view };
  return { kind: "unknown", why: `${leader.holder.name} does not lead the pool ${pool} any more, and nobody else does yet` };
}
