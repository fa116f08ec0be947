import { expect, test } from "vitest";
import type { ManagerConfig } from "../../manager/config.ts";
import { warningsOf } from "../../manager/warnings.ts";

const safe = {
  httpHost: "127.0.0.1",
  publicUrl: "http://127.0.0.1:7070",
  broker: { kind: "embedded", tls: null },
  brokerHost: "127.0.0.1",
  databaseUrl: "sqlite:/var/lib/muster/muster.db",
} satisfies Partial<ManagerConfig>;

const namesOf = (more: Partial<ManagerConfig>): string[] =>
  warningsOf({ ...safe, ...more } as ManagerConfig).map(({ name }) => name);

test.each([
  ["only this host can reach it", {}],
  ["only this host can reach it, by another loopback address", { httpHost: "127.0.0.2" }],
  ["only this host can reach it, by IPv6", { httpHost: "::1" }],
  ["a proxy before it ends TLS", { httpHost: "0.0.0.0", publicUrl: "https://muster.example" }],
  ["a proxy before it ends TLS, on another host", { httpHost: "10.0.0.11", publicUrl: "https://muster.example" }],
] satisfies [string, Partial<ManagerConfig>][])("no word about the API when %s", (_, config) => {
  expect(namesOf(config)).toEqual([]);
});

test.each([
  ["0.0.0.0", "http://0.0.0.0:7070"],
  ["::", "http://[::]:7070"],
  ["10.0.0.11", "http://10.0.0.11:7070"],
  ["muster.example", "http://muster.example:7070"],
  // A public address without TLS is a proxy that ends none.
  ["0.0.0.0", "http://muster.example"],
])("an API on %s, found at %s, is said to be without TLS, and what to do", (httpHost, publicUrl) => {
  expect(warningsOf({ ...safe, httpHost, publicUrl } as ManagerConfig)).toEqual([
    {
      name: "http",
      sentence: expect.stringMatching(
        new RegExp(
          `^the API listens on ${httpHost} without TLS; put a proxy that ends TLS before it, .*MUSTER_MANAGER_URL=https://`,
        ),
      ),
    },
  ]);
});

test("broker and database are spoken of by themselves", () => {
  expect(namesOf({ brokerHost: "0.0.0.0" })).toEqual(["broker-tls"]);
  expect(namesOf({ brokerHost: "0.0.0.0", broker: { kind: "embedded", tls: { cert: "c", key: "k" } } })).toEqual([]);
  expect(namesOf({ databaseUrl: "mysql://muster@db.example/muster" })).toEqual(["database-tls"]);
  expect(namesOf({ databaseUrl: "mysql://muster@127.0.0.1/muster" })).toEqual([]);
});
