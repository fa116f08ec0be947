/** This manager among the others of its database, put together. */
import type { Clock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import { problem } from "../../schema/problem.ts";
import type { PoolEngine } from "../engine/engine.ts";
import type { Store } from "../store/store.ts";
import { LeaderBook } from "./book.ts";
import { PeerCaller } from "./caller.ts";
import { makePeerDoor, type PeerDoor } from "./door.ts";
import { Forwarder } from "./forward.ts";
import type { Holder } from "./holder.ts";
import type { BrokerPlace } from "./messages.ts";
import { LeaderViews } from "./views.ts";

export interface PeersDeps {
  readonly self: Holder;
  readonly broker: BrokerPlace;
  readonly engines: ReadonlyMap<string, PoolEngine>;
  readonly store: Pick<Store, "readLease" | "secret">;
  readonly clock: Clock;
  readonly log: Log;
  readonly answerWithinMs: number;
  readonly leaseRenewMs: number;
}

export interface Peers {
  readonly self: Holder;
  readonly broker: BrokerPlace;
  readonly book: LeaderBook;
  readonly forwarder: Forwarder;
  readonly views: LeaderViews;
  readonly door: PeerDoor;
  close(): void;
}

/** Reads the managers' common secret from the store. */
export async function openPeers(deps: PeersDeps): Promise<Peers> {
  const { self, broker, engines, store, clock, log } = deps;
  const key = await store.secret("peers");
  const book = new LeaderBook({ name: self.name, engines, store, clock });
  const caller = new PeerCaller(key, self.name);
  const forwarder = new Forwarder({
    name: self.name,
    book,
    caller,
    askHere: async (pool, request, gone) => {
      const engine = engines.get(pool);
      if (!engine) throw problem("not-taken", `the request was not taken: this manager does not serve the pool ${pool}`);
      return await engine.ask(request, gone);
    },
    answerWithinMs: deps.answerWithinMs,
    lookMs: deps.leaseRenewMs / 2,
  });
  return {
    self,
    broker,
    book,
    forwarder,
    views: new LeaderViews({ name: self.name, broker, book, caller, clock }),
    door: makePeerDoor({ key, name: self.name, broker, engines, clock, log }),
    close: () => caller.close(),
  };
}
