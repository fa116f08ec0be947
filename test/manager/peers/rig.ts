/** A manager that leads, with its door on a port, and one that forwards to it. */
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { onTestFinished } from "vitest";
import { processClock, type Clock } from "../../../schema/kit/clock.ts";
import { silentLog } from "../../../schema/kit/log.ts";
import { LeaderBook } from "../../../manager/peers/book.ts";
import { PeerCaller } from "../../../manager/peers/caller.ts";
import { makePeerDoor, type PeerDoor } from "../../../manager/peers/door.ts";
import { Forwarder } from "../../../manager/peers/forward.ts";
import { holderText } from "../../../manager/peers/holder.ts";
import type { BrokerPlace } from "../../../manager/peers/messages.ts";
import { LeaderViews } from "../../../manager/peers/views.ts";
import type { LeaseRow } from "../../../manager/store/store.ts";
import { makeRig, type Rig } from "../engine/rig.ts";

export const key = randomBytes(32);
export const pool = "default";

/** A server on a port of 127.0.0.1 that ends with the test. */
export async function listening(server: Server): Promise<string> {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server that does as the test says. */
export async function answering(take: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  return await listening(createServer(take));
}

export interface LeaderRig extends Rig {
  readonly name: string;
  readonly address: string;
  readonly door: PeerDoor;
  /** How many were made to it. */
  readonly connections: number;
  /** Headers and bodies as they came, for who plays them again. */
  readonly heard: { readonly path: string; readonly headers: Record<string, string>; readonly body: string }[];
}

/** An engine that leads, behind a door on a port. */
export async function leaderRig(
  name = "manager-leader",
  withKey: Uint8Array = key,
  broker: BrokerPlace = "apart",
): Promise<LeaderRig> {
  const rig = await makeRig({ leaseIsRow: true });
  const door = makePeerDoor({
    key: withKey,
    name,
    broker,
    engines: new Map([[pool, rig.engine]]),
    clock: processClock,
    log: silentLog(),
  });
  const heard: { path: string; headers: Record<string, string>; body: string }[] = [];
  const server = createAdaptorServer({
    fetch: async (request: Request) => {
      const body = await request.clone().text();
      heard.push({ path: new URL(request.url).pathname, headers: Object.fromEntries(request.headers), body });
      return (await door.answer(request)) ?? new Response(null, { status: 404 });
    },
  }) as Server;
  const made = { connections: 0 };
  server.on("connection", () => (made.connections += 1));
  const leader = Object.assign(rig, { name, address: await listening(server), door, heard, connections: 0 });
  return Object.defineProperty(leader, "connections", { get: () => made.connections });
}

export interface FollowerRig {
  readonly forwarder: Forwarder;
  readonly views: LeaderViews;
  readonly caller: PeerCaller;
  /** Who leads, as this manager sees it. */
  lease: LeaseRow | null;
  /** What the store says to who looks anew; by default the same. */
  fresh: LeaseRow | null | undefined;
}

/** A manager that does not lead; `lease` is what it sees. */
export function followerRig(
  lease: LeaseRow | null,
  options: { readonly answerWithinMs?: number; readonly key?: Uint8Array; readonly clock?: Clock } = {},
): FollowerRig {
  const name = "manager-follower";
  const clock = options.clock ?? processClock;
  const follower = { lease } as { -readonly [K in keyof FollowerRig]: FollowerRig[K] };
  const engines = new Map([
    [
      pool,
      {
        lead: undefined,
        get lease() {
          return follower.lease;
        },
      },
    ],
  ]);
  const store = { readLease: async () => (follower.fresh === undefined ? follower.lease : follower.fresh) };
  const book = new LeaderBook({ name, engines, store, clock });
  const caller = new PeerCaller(options.key ?? key, name);
  onTestFinished(() => caller.close());
  follower.caller = caller;
  follower.views = new LeaderViews({ name, broker: "apart", book, caller, clock });
  follower.forwarder = new Forwarder({
    name,
    book,
    caller,
    askHere: () => Promise.reject(new Error("this manager does not lead")),
    answerWithinMs: options.answerWithinMs ?? 10_000,
    lookMs: 20,
  });
  return follower;
}

/** The lease of a manager at this address. */
export function leaseOf(name: string, address: string | null, term = 1): LeaseRow {
  return { pool, holder: holderText({ name, address }), term, batch: 0, beat: 0 };
}
