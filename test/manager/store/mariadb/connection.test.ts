import { createServer, type Server, type Socket } from "node:net";
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { checkMariadb } from "../../../../manager/store/mariadb/check.ts";
import { openConnections, type Connections, type OpenConnectionsOptions } from "../../../../manager/store/mariadb/connection.ts";
import { openLink } from "../../../../manager/store/mariadb/link.ts";
import { parseMariadbUrl } from "../../../../manager/store/mariadb/address.ts";
import { StoreError } from "../../../../manager/store/store.ts";
import { freePorts } from "../../../kit/ports.ts";
import { mariadbMissing, MariadbServer } from "../../../kit/mariadb.ts";
import { TcpProxy } from "../../../kit/tcp-proxy.ts";
import { until } from "../../../kit/until.ts";

const pems = join(import.meta.dirname, "tls");
const reason = mariadbMissing();

async function opened(url: string, options: OpenConnectionsOptions = {}): Promise<Connections> {
  const connections = await openConnections(url, options);
  onTestFinished(async () => await connections[Symbol.asyncDispose]());
  return connections;
}

/** The URL of another port, such as a proxy's. */
function through(url: string, port: number): string {
  return url.replace(/:\d+\//, `:${port}/`);
}

describe.skipIf(reason !== undefined)(`connections to a real MariaDB${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let server: MariadbServer;
  let url: string;
  const folder = mkdtempSync(join(tmpdir(), "muster-tls-"));

  /** What the server shows its clients from now on. */
  const certify = async (name: string): Promise<void> => {
    for (const end of ["pem", "key"]) {
      copyFileSync(join(pems, `${name}.${end}`), join(folder, `server.${end}`));
      chmodSync(join(folder, `server.${end}`), 0o644);
    }
    await server.admin("FLUSH SSL");
  };

  beforeAll(async () => {
    chmodSync(folder, 0o755);
    for (const [from, to] of [
      ["ca.pem", "ca.pem"],
      ["name.pem", "server.pem"],
      ["name.key", "server.key"],
    ] as const) {
      copyFileSync(join(pems, from), join(folder, to));
      chmodSync(join(folder, to), 0o644);
    }
    server = await MariadbServer.start([
      `--ssl-ca=${folder}/ca.pem`,
      `--ssl-cert=${folder}/server.pem`,
      `--ssl-key=${folder}/server.key`,
      // A careless server: every session has to be given what it needs.
      "--sql-mode=NO_BACKSLASH_ESCAPES",
      "--autocommit=0",
      "--collation-server=utf8mb4_general_ci",
    ]);
    url = await server.database();
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test("every session has its settings, whatever the server's defaults are", async () => {
    const connections = await opened(url);
    const asked =
      "SELECT @@sql_mode, @@autocommit, @@idle_write_transaction_timeout, @@innodb_lock_wait_timeout, @@collation_connection, @@character_set_client, @@tx_isolation";
    const [read] = await connections.read(asked);
    const written = await connections.session(async (session) => (await session.query(asked)).rows[0]);
    for (const row of [read, written]) {
      expect(row?.[0]).toMatch(/STRICT_ALL_TABLES/);
      expect(row?.[0]).not.toMatch(/NO_BACKSLASH_ESCAPES/);
      expect(row?.slice(1)).toEqual([1, 3, 3, "utf8mb4_nopad_bin", "utf8mb4", "REPEATABLE-READ"]);
    }
    const odd = "\\' ; -- \u{1F600} \0 \n";
    expect(await connections.read("SELECT ?, 'a ' = 'a', 'a' = 'A'", [odd])).toEqual([[odd, 0, 0]]);
  });

  test("with tlsCa the certificate and the name are verified, by name and by address", async () => {
    const withCa = (host: string): string => `${url.replace("127.0.0.1", host)}?tlsCa=${pems}/ca.pem`;
    const [row] = await (await opened(withCa("localhost"))).read("SHOW STATUS LIKE 'Ssl_cipher'");
    expect(row?.[1]).toMatch(/TLS|AES/);
    await expect(openConnections(withCa("127.0.0.1"))).rejects.toThrow(/it cannot be verified: .*IP: 127.0.0.1/);
    await certify("address");
    expect(await (await opened(withCa("127.0.0.1"))).read("SELECT 1")).toEqual([[1]]);
    await expect(openConnections(withCa("localhost"))).rejects.toThrow(/it cannot be verified: .*localhost/);
    const strange = `${url}?tlsCa=${join(import.meta.dirname, "../../../broker/tls/ca.pem")}`;
    await expect(openConnections(strange)).rejects.toThrow(/it cannot be verified: .*(self-signed|unable)/);
  });

  test("an account that needs a client's certificate gets in with it alone", async () => {
    await certify("address");
    await server.admin(`CREATE USER 'certified'@'%' REQUIRE SUBJECT '/CN=client'`);
    await server.admin("GRANT ALL ON `muster%`.* TO 'certified'@'%'");
    const database = new URL(url).pathname;
    const bare = `mysql://certified@127.0.0.1:${server.port}${database}?tlsCa=${pems}/ca.pem`;
    await expect(openConnections(bare)).rejects.toThrow(/Access denied/);
    const connections = await opened(`${bare}&tlsCert=${pems}/client.pem&tlsKey=${pems}/client.key`);
    expect(await connections.read("SELECT CURRENT_USER()")).toEqual([["certified@%"]]);
  });

  test("a server that has no TLS is refused when tlsCa asks for it", async () => {
    await using plain = await helloWithoutTls();
    await expect(openConnections(`mysql://a@127.0.0.1:${plain.port}/m?tlsCa=${pems}/ca.pem`)).rejects.toThrow(
      /does not offer TLS/,
    );
  });

  test("a wrong password and a database that is not there are said at once, without the password", async () => {
    const wrong = openConnections(url.replace(encodeURIComponent(server.password), "guess"));
    await expect(wrong).rejects.toThrow(/mysql:\/\/muster@127.0.0.1:\d+\/muster_1 cannot be used: Access denied/);
    await expect(wrong).rejects.not.toThrow(/guess/);
    const nowhere = openConnections(url.replace("muster_1", "muster_none"));
    await expect(nowhere).rejects.toThrow(/Unknown database 'muster_none'/);
    const error = await nowhere.catch((cause: unknown) => cause);
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain(server.password);
  });

  test("a server that is away is waited for, and the waiting is told", async () => {
    const [port = 0] = await freePorts(1);
    const told: string[] = [];
    const waiting = openConnections(through(url, port), { onWaiting: (sentence) => told.push(sentence) });
    await until("the waiting to be told", () => told.length > 0);
    expect(told[0]).toMatch(/cannot be reached yet; it is tried again until it answers: .*ECONNREFUSED/);
    // The server comes up: another network that leads to it.
    const arriving = forwarder(port, server.port);
    onTestFinished(() => void arriving.close());
    const connections = await waiting;
    expect(await connections.read("SELECT 1")).toEqual([[1]]);
    await connections[Symbol.asyncDispose]();
  });

  test("who waits for a server can be told to stop", async () => {
    const [port = 0] = await freePorts(1);
    const stop = new AbortController();
    const waiting = openConnections(through(url, port), { signal: stop.signal, onWaiting: () => stop.abort() });
    await expect(waiting).rejects.toThrow(/was not reached/);
  });

  test("a server that accepts and says nothing ends as a transient error, at connect and in a statement", async () => {
    await using proxy = await TcpProxy.to(server.port);
    const bounds = { connectMs: 150 };
    const address = parseMariadbUrl(through(url, proxy.port));
    const link = await openLink(address, undefined, false);
    onTestFinished(() => link.close());
    proxy.hold("both");
    await expect(openLink(address, undefined, false, { connectMs: bounds.connectMs })).rejects.toMatchObject({
      kind: "transient",
      outcomeKnown: true,
    });
    const silent = await link.ask("SELECT 1", [], 50).catch((cause: unknown) => cause);
    expect(silent).toMatchObject({ kind: "transient", outcomeKnown: false });
    expect(String(silent)).toMatch(/said nothing in time/);
    expect(link.usable).toBe(false);
  });

  test("health is told within its time that the server is silent", async () => {
    await using proxy = await TcpProxy.to(server.port);
    const connections = await opened(through(url, proxy.port));
    await connections.read("SELECT 1");
    proxy.hold("both");
    expect(await checkMariadb(connections, 100)).toEqual([
      { name: "database", ok: false, sentence: expect.stringMatching(/does not answer within 100 ms/) },
    ]);
  });

  test("a connection that breaks after the text was sent leaves the outcome unknown, and the next one works", async () => {
    await using proxy = await TcpProxy.to(server.port);
    const connections = await opened(through(url, proxy.port));
    await connections.write(["CREATE TABLE broken (id INT PRIMARY KEY)"]);
    proxy.hold("server");
    const writing = connections.write(["INSERT INTO broken VALUES (1)"]).catch((cause: unknown) => cause);
    await until("the answer to be held back", () => proxy.heldBytes > 0);
    proxy.cut();
    proxy.release();
    const error = await writing;
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({ kind: "transient", outcomeKnown: false });
    expect(JSON.stringify(error, ["message", "cause", "sql"])).not.toContain("INSERT");
    expect(await connections.read("SELECT COUNT(*) FROM broken")).toEqual([[1]]);
  });

  test("connections that the server closed while they were idle cost a reader nothing", async () => {
    const connections = await opened(url);
    const ids = await Promise.all(
      [1, 2, 3, 4].map(async () =>
        Number((await connections.read("SELECT CONNECTION_ID() FROM (SELECT SLEEP(0.05)) AS s"))[0]?.[0]),
      ),
    );
    for (const id of new Set(ids)) await server.admin(`KILL ${id}`);
    expect(await Promise.all([1, 2, 3, 4].map(() => connections.read("SELECT 7")))).toEqual([[[7]], [[7]], [[7]], [[7]]]);
  });

  test("a text beyond the server's max_allowed_packet is refused for good before it is sent, and the connection lives", async () => {
    const small = await server.admin("SET GLOBAL max_allowed_packet = 1048576");
    expect(small).toBeDefined();
    onTestFinished(async () => void (await server.admin("SET GLOBAL max_allowed_packet = 16777216")));
    const connections = await opened(url);
    expect(connections.textBytes).toBe(262_144);
    const error = await connections.write([`DO '${"x".repeat(1_048_576)}'`]).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ kind: "permanent", outcomeKnown: true });
    expect(String(error)).toMatch(/max_allowed_packet \(1048576\)/);
    await connections.write([`DO '${"x".repeat(1_048_000)}'`]);
  });

  test("after a statement that was killed its connection is not used again: half a transaction would be committed with the next", async () => {
    const connections = await opened(url);
    await connections.write(["CREATE TABLE half (id INT PRIMARY KEY)"]);
    let id = 0;
    const cut = connections.session(async (session) => {
      id = Number((await session.query("SELECT CONNECTION_ID()")).rows[0]?.[0]);
      await session.query("START TRANSACTION");
      await session.query("INSERT INTO half VALUES (1)");
      await session.query("SELECT SLEEP(30)");
    });
    cut.catch(() => undefined);
    await until("the statement to run", async () =>
      (await server.admin("SHOW PROCESSLIST")).some((one: { Info: string | null }) => /SLEEP\(30\)/.test(one.Info ?? "")),
    );
    await server.admin(`KILL QUERY ${id}`);
    await cut.catch(() => undefined);
    await connections.write(["START TRANSACTION", "INSERT INTO half VALUES (2)", "COMMIT"]);
    expect(await connections.read("SELECT id FROM half")).toEqual([[2]]);
  });
});

/** Forwards a port, without anything else. */
function forwarder(port: number, target: number): Server {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    void import("node:net").then(({ connect }) => {
      const other = connect(target, "127.0.0.1");
      sockets.add(client).add(other);
      for (const one of [client, other]) one.on("error", () => undefined);
      client.pipe(other);
      other.pipe(client);
    });
  });
  server.listen(port, "127.0.0.1");
  return server;
}

/** A server that greets as MariaDB does and offers no TLS. */
async function helloWithoutTls(): Promise<{ readonly port: number; [Symbol.asyncDispose](): Promise<void> }> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    const body = Buffer.concat([
      Buffer.from([10]),
      Buffer.from("5.5.5-10.11.0-MariaDB\0"),
      Buffer.from([1, 0, 0, 0]),
      Buffer.from("12345678\0"),
      // Capabilities: protocol 4.1, secure connection, plugin authentication; not TLS.
      Buffer.from([0x00, 0x82, 45, 2, 0, 0x08, 0x00, 21]),
      Buffer.alloc(10),
      Buffer.from("123456789012\0mysql_native_password\0"),
    ]);
    socket.write(Buffer.concat([Buffer.from([body.length, 0, 0, 0]), body]));
  });
  const [port = 0] = await freePorts(1);
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
