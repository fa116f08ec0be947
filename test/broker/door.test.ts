import type { Aedes, Client } from "aedes";
import { expect, test } from "vitest";
import { makeDoor, type Tally } from "../../broker/door.ts";
import { silentLog } from "../../schema/kit/log.ts";
import { uplinkTopic } from "../../schema/topics.ts";
import { everybody, passwordOf, prefix } from "./rig.ts";

type Published = Parameters<Aedes["authorizePublish"]>[1];

test("while the broker leaves, even an allowed will reaches nobody and is not counted as denied", () => {
  let leaving = false;
  const tally: Tally = {
    connects: 0,
    refusedConnects: 0,
    deniedPublishes: 0,
    deniedSubscribes: 0,
    oversizedPackets: 0,
    droppedDeliveries: 0,
  };
  const retained = new Map<string, Buffer>();
  const { hooks } = makeDoor({
    credentials: everybody,
    prefix,
    log: silentLog(),
    clock: { now: () => ({ mono: 0, wall: 0 }) },
    tally,
    retained,
    leaving: () => leaving,
    connected: () => undefined,
  });
  const client = { id: "edge-a", clean: true } as Client;
  hooks.authenticate(client, "edge-a", Buffer.from(passwordOf("edge-a")), (error) => expect(error).toBeNull());
  const topic = uplinkTopic(prefix, "default", "edge-a", "status");
  const will = (): Published => ({ cmd: "publish", topic, payload: Buffer.from("gone"), qos: 1, retain: true, dup: false });
  const said: (Error | null | undefined)[] = [];

  const before = will();
  hooks.authorizePublish(client, before, (error) => said.push(error));
  expect(before).toEqual(will());
  expect([...retained.keys()]).toEqual([topic]);

  retained.clear();
  leaving = true;
  const after = will();
  hooks.authorizePublish(client, after, (error) => said.push(error));
  expect(after).toMatchObject({ topic: "denied", retain: false });
  expect(after.payload).toHaveLength(0);
  expect(retained.size).toBe(0);
  expect(tally.deniedPublishes).toBe(0);
  expect(said).toEqual([null, null]);
});
