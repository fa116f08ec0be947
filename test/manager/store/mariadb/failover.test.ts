/** Another server takes the first one's place: behind a proxy, behind a name, with the old one still there or not. Two real servers. */
import dns from "node:dns";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { withToken } from "../../../../broker/credentials-content.ts";
import { ensureAdminToken } from "../../../../manager/admin.ts";
import { checkMariadb } from "../../../../manager/store/mariadb/check.ts";
import { openConnections, type Connections, type OpenConnectionsOptions } from "../../../../manager/store/mariadb/connection.ts";
import { mariadbBook, openMariadbCredentials } from "../../../../manager/store/mariadb/credentials.ts";
import { migrate } from "../../../../manager/store/mariadb/migrate.ts";
import { openMariadbStore } from "../../../../manager/store/mariadb/store.ts";
import { mariadbLimits } from "../../../../schema/limits/mariadb.ts";
import { mariadbMissing, MariadbServer } from "../../../kit/mariadb.ts";
import { TcpProxy } from "../../../kit/tcp-proxy.ts";
import { until } from "../../../kit/until.ts";

const reason = mariadbMissing();

describe.skipIf(reason !== undefined)(`two real MariaDBs${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let old: MariadbServer;
  let next: MariadbServer;
  let url: string;
  beforeAll(async () => {
    old = await MariadbServer.start(["--server-id=1"]);
    url = await old.database();
    const connections = await openConnections(url);
    await migrate(connections, undefined);
    await connections[Symbol.asyncDispose]();
    await old.kill();
    next = await old.copy(["--server-id=2"]);
    await old.restart();
  });
  afterAll(async () => {
    await next?.[Symbol.asyncDispose]();
    await old?.[Symbol.asyncDispose]();
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await old.admin("SET GLOBAL read_only = 0, max_connections = 151");
  });

  async function opened(port: number, options?: OpenConnectionsOptions, host = "127.0.0.1"): Promise<Connections> {
    const there = new URL(url);
    there.hostname = host;
    there.port = String(port);
    const connections = await openConnections(there.href, options);
    onTestFinished(async () => await connections[Symbol.asyncDispose]());
    return connections;
  }

  const which = "SELECT @@server_id";

  /** The server that each kind of connection leads to now. */
  async function ways(connections: Connections): Promise<Record<string, number>> {
    return {
      read: Number((await connections.read(which))[0]?.[0]),
      load: Number((await connections.load(which))[0]?.[0]),
      write: Number((await connections.write([which])).rows[0]?.[0]),
      session: await connections.session(async (session) => Number((await session.query(which)).rows[0]?.[0])),
      output: await connections.output(async (session) => Number((await session.query(which)).rows[0]?.[0])),
    };
  }

  const all = (server: number) => ({ read: server, load: server, write: server, session: server, output: server });
  const write = "REPLACE INTO credential_files VALUES (REPEAT('a', 64))";

  test("the old one becomes a replica and stays: who writes is told once, and everybody goes to the new one", async () => {
    await using proxy = await TcpProxy.to(old.port);
    const connections = await opened(proxy.port);
    expect(await ways(connections)).toEqual(all(1));
    await old.admin("SET GLOBAL read_only = 1");
    proxy.switchTo(next.port);
    const error = await connections.write([write]).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ kind: "transient", outcomeKnown: true });
    expect(String(error)).toMatch(
      /it is read-only: .*; it may be a replica: .*MUSTER_DATABASE_URL lead to the server that takes writes/,
    );
    expect(await ways(connections)).toEqual(all(2));
    await connections.write([write]);
  });

  test("a manager that only reads leaves a server that has become a replica, too", async () => {
    await using proxy = await TcpProxy.to(old.port);
    const connections = await opened(proxy.port);
    const credentials = await openMariadbCredentials(connections, 20);
    onTestFinished(() => credentials.close());
    expect(await ways(connections)).toEqual(all(1));
    await old.admin("SET GLOBAL read_only = 1");
    proxy.switchTo(next.port);
    await until("every way to lead to the new one", async () => Object.values(await ways(connections)).every((one) => one === 2));
  });

  test("a replica by mistake is asked again as soon as it takes writes, and left as soon as the address leads elsewhere", async () => {
    await old.admin("SET GLOBAL read_only = 1");
    await using proxy = await TcpProxy.to(old.port);
    const connections = await opened(proxy.port);
    for (let times = 0; times < 5; times += 1)
      await expect(connections.write([write])).rejects.toMatchObject({ kind: "transient", outcomeKnown: true });
    expect((await checkMariadb(connections, 60_000)).find(({ name }) => name === "read_only")).toMatchObject({
      ok: false,
      sentence: expect.stringMatching(/Set read_only=OFF, or give the address of the server that takes writes/),
    });
    await old.admin("SET GLOBAL read_only = 0");
    await connections.write([write]);
    expect(await ways(connections)).toEqual(all(1));
  });

  test("a manager that starts on a server that takes no writes now reads from it, and writes when it does", async () => {
    await ensureAdminToken(mariadbBook(await opened(old.port)), "a-preset-secret-of-enough-length");
    await old.admin("SET GLOBAL read_only = 1");
    const store = await openMariadbStore(await openConnections(url));
    onTestFinished(async () => await store[Symbol.asyncDispose]());
    for (const preset of [null, "a-preset-secret-of-enough-length"])
      expect(await ensureAdminToken(mariadbBook(await opened(old.port)), preset)).toBeUndefined();
    expect(await store.readLease("nobody's")).toBeNull();
    await expect(store.takeLease("somebody's", "m1", null, 0)).rejects.toMatchObject({ kind: "transient" });
    await old.admin("SET GLOBAL read_only = 0");
    expect(await store.takeLease("somebody's", "m1", null, 0)).toMatchObject({ holder: "m1", term: 1 });
  });

  test("the old one's host is gone without a word: one statement waits in vain, the others are not kept waiting one by one", async () => {
    await using proxy = await TcpProxy.to(old.port);
    const connections = await opened(proxy.port);
    // Several of each kind, as a busy manager has them.
    await Promise.all(Array.from({ length: 6 }, () => connections.read("SELECT SLEEP(0.05)")));
    expect(await ways(connections)).toEqual(all(1));
    proxy.freeze();
    proxy.switchTo(next.port);
    const waited = connections.session((session) => session.query(which), 100).catch((cause: unknown) => cause);
    const error = await waited;
    expect(error).toMatchObject({ kind: "transient", outcomeKnown: false });
    expect(String(error)).toMatch(/said nothing in time; does it run, and does its address answer from here\?/);
    expect(await ways(connections)).toEqual(all(2));
  });

  test("a name that leads to another server is followed, also when the old one goes on answering", async () => {
    const at = { host: "127.0.0.2", port: 0 };
    await using first = await TcpProxy.to(old.port);
    await using _second = await TcpProxy.to(next.port, { ...at, port: first.port });
    let address = "127.0.0.1";
    const lookup = dns.lookup;
    vi.spyOn(dns, "lookup").mockImplementation(((name: string, options: dns.LookupOptions, done: (...of: unknown[]) => void) => {
      if (name !== "db.test") return lookup(name, options, done as never);
      if (options.all) done(null, [{ address, family: 4 }]);
      else done(null, address, 4);
    }) as never);
    const connections = await opened(first.port, { keptMs: 50 }, "db.test");
    expect(await ways(connections)).toEqual(all(1));
    address = "127.0.0.2";
    await until("every way to lead to the new one", async () => Object.values(await ways(connections)).every((one) => one === 2));
    expect(mariadbLimits.linkKeptMs).toBeLessThanOrEqual(60_000);
  });

  test("a server that has no connection left is said with what to do, and used again when it has", async () => {
    const connections = await opened(old.port);
    await connections.read(which);
    await old.admin("SET GLOBAL max_connections = 10");
    // As many as it gives: of those of the tests before some may not have ended yet.
    const hogs: Awaited<ReturnType<typeof old.connect>>[] = [];
    await until("it to give none any more", async () => {
      const hog = await old.connect().catch(() => undefined);
      if (hog) hogs.push(hog);
      return hog === undefined;
    });
    const full = await connections.output(async () => undefined).catch((cause: unknown) => cause);
    expect(full).toMatchObject({ kind: "transient", outcomeKnown: true });
    expect(String(full as Error)).toMatch(
      new RegExp(
        `too many connections: .*; raise its max_connections, .* a manager takes up to ${mariadbLimits.connections}`,
        "i",
      ),
    );
    // Who has one goes on.
    expect(await connections.read(which)).toEqual([[1]]);
    await Promise.all(hogs.map((hog) => hog.end()));
    await until("all to go on", async () => (await ways(connections).catch(() => undefined)) !== undefined);
  });

  test("killed and in crash recovery: not known what was on its way, and everything goes on when it is back, or another is", async () => {
    await using proxy = await TcpProxy.to(old.port);
    const connections = await opened(proxy.port);
    const credentials = await openMariadbCredentials(connections, 20);
    onTestFinished(() => credentials.close());
    expect(await ways(connections)).toEqual(all(1));
    const writing = connections.write(["DO SLEEP(60)"]).catch((cause: unknown) => cause);
    await until("the statement to run", async () =>
      (await old.admin("SHOW PROCESSLIST")).some((one: { Info: string | null }) => one.Info?.includes("SLEEP(60)")),
    );
    await old.kill();
    expect(await writing).toMatchObject({ kind: "transient", outcomeKnown: false });
    for (const ask of [() => connections.read(which), () => connections.write([write])]) {
      const error = await ask().catch((cause: unknown) => cause);
      expect(error).toMatchObject({ kind: "transient", outcomeKnown: true });
      expect(String(error)).toMatch(/does not answer: .*; does it run/);
    }
    await old.restart();
    expect(await ways(connections)).toEqual(all(1));
    await old.kill();
    proxy.switchTo(next.port);
    await until("everything to be at the other one", async () => {
      const now = await ways(connections).catch(() => undefined);
      return now !== undefined && Object.values(now).every((one) => one === 2);
    });
    await old.restart();
    const token = await credentials.book.change(withToken({ name: "after" }));
    expect(credentials.verify.verifyToken(token)).toEqual({ name: "after" });
  });
});
