import type { Commands } from "../../schema/messages.ts";
import type { AgentAction } from "../../worker/agent/types.ts";
import type { SimHost } from "./host.ts";
import type { SimJournal } from "./journal.ts";
import type { Plan } from "./plan.ts";
import type { Schedule } from "./schedule.ts";
import type { Witness } from "./witness.ts";

/** A start as it came: what rule 6 asks of its launch. */
interface Came {
  readonly epoch: string;
  readonly mono: number;
  readonly ttlMs: number;
  /** Of a leader whose successor the agent had obeyed (rule 15). */
  readonly isDeposed: boolean;
}

/**
 * Rules 4 and 6, from outside: some start of what is launched was fresh, and was confirmed since the host last slept for long;
 * and none of them came after a stop.
 */
export class Stale {
  readonly #host: SimHost;
  readonly #journal: SimJournal;
  readonly #ends: { readonly plan: Plan; readonly schedule: Schedule; readonly witness: Witness };
  readonly #came = new Map<string, Came[]>();
  /** Attempts of which a stop came before any start. */
  readonly #stopped = new Set<string>();

  constructor(
    host: SimHost,
    journal: SimJournal,
    ends: { readonly plan: Plan; readonly schedule: Schedule; readonly witness: Witness },
  ) {
    this.#journal = journal;
    this.#host = host;
    this.#ends = ends;
  }

  /** Epoch → the newest echo that came for it. */
  readonly #echoes = new Map<string, number>();

  /** A message reached the agent. Returns the attempts that it asks to start. */
  came(payload: Uint8Array): readonly string[] {
    const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString();
    const [, epoch, mono] = /"asOf":\{"epoch":"([^"]*)","mono":([\d.]+)/.exec(text) ?? [];
    if (epoch !== undefined) this.#echoes.set(epoch, Math.max(this.#echoes.get(epoch) ?? 0, Number(mono)));
    if (!text.includes('"kind":"sto') && !text.includes('"kind":"start"')) return [];
    const { asOf, items, term } = JSON.parse(text) as Commands;
    return items.flatMap((item) => {
      if (item.kind === "stop" && !this.#came.has(item.attempt)) this.#stopped.add(item.attempt);
      if (item.kind !== "start") return [];
      const came = this.#came.get(item.attempt) ?? [];
      came.push({ ...asOf, ttlMs: item.ttlMs, isDeposed: term < this.#journal.meta.highestTerm });
      this.#came.set(item.attempt, came);
      return [item.attempt];
    });
  }

  /** Rules 8 and 9: a fence stands at an echo of this very epoch, and the leader counts on that. */
  #fences(epoch: string, action: AgentAction & { readonly action: "launch" | "deadlines" }): void {
    const { fenceMono } = action.deadlines;
    if (fenceMono === null) return;
    const latestMono = (this.#echoes.get(epoch) ?? 0) + this.#ends.plan.timing.lostAfterSeconds * 1_000;
    if (fenceMono <= latestMono) return;
    this.#ends.witness.violated(
      `${this.#host.name} sets a fence at ${fenceMono}, and no echo allows more than ${latestMono} (rule 8)`,
    );
  }

  /** The agent does this, now. */
  acts(epoch: string, action: AgentAction): void {
    if (action.action === "launch" || action.action === "deadlines") this.#fences(epoch, action);
    if (action.action !== "launch") return;
    const { attempt } = action.order;
    const { name } = this.#host;
    const { violated } = this.#ends.witness;
    if (this.#stopped.has(attempt)) violated(`${name} launches ${attempt}, whose stop had come before (rule 4)`);
    const { mono } = this.#host.now();
    const { fromMs, toMs, frozen } = this.#host.lastSleep;
    // One whose clock stood still with it cannot know that it slept.
    const longSleep = !frozen && toMs - fromMs > (3.5 * this.#ends.plan.timing.heartbeatMs) / 2;
    const sinceMono = longSleep ? mono - (this.#ends.schedule.nowMs - toMs) : Number.NEGATIVE_INFINITY;
    const good = this.#came
      .get(attempt)
      ?.some((came) => !came.isDeposed && came.epoch === epoch && came.mono >= sinceMono && mono - came.mono < came.ttlMs);
    if (!good)
      violated(`${name} launches ${attempt} by a start that is stale, of a deposed leader or not for this epoch (rules 6, 15)`);
  }
}
