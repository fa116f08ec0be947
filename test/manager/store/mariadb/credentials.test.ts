/** Credentials in tables on a real server, beside those in a file: one contract for both. */
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { fileBook } from "../../../../broker/credential-book.ts";
import { addClient, addToken, openCredentials, revokeTokens } from "../../../../broker/credentials.ts";
import { withoutTokens, withToken } from "../../../../broker/credentials-content.ts";
import { openCredentialBook, putSignpost } from "../../../../manager/store/credentials.ts";
import { openConnections, type Connections } from "../../../../manager/store/mariadb/connection.ts";
import { openMariadbCredentials, takeOverFile } from "../../../../manager/store/mariadb/credentials.ts";
import { migrate } from "../../../../manager/store/mariadb/migrate.ts";
import { mariadbSessions } from "../../../../manager/store/mariadb/sessions.ts";
import { apiLimits } from "../../../../schema/limits.ts";
import { credentialContract, type OpenedForTest } from "../../../contract/credentials.ts";
import { mariadbMissing, MariadbServer } from "../../../kit/mariadb.ts";
import { until } from "../../../kit/until.ts";

const reason = mariadbMissing();

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "muster-credentials-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

credentialContract("credentials in a file", async () => {
  const file = join(temporaryFolder(), "credentials.json");
  const view = (): OpenedForTest => ({ book: fileBook(file), verify: openCredentials(file), close: async () => {} });
  return [view(), view()];
});

describe.skipIf(reason !== undefined)(`a real MariaDB${reason ? ` (skipped: ${reason})` : ""}`, () => {
  let server: MariadbServer;
  beforeAll(async () => {
    server = await MariadbServer.start();
  });
  afterAll(async () => await server[Symbol.asyncDispose]());

  async function database(): Promise<{ url: string; connections: Connections }> {
    const url = await server.database();
    const connections = await openConnections(url);
    onTestFinished(async () => await connections[Symbol.asyncDispose]());
    await migrate(connections, undefined);
    return { url, connections };
  }

  async function viewOf(url: string): Promise<OpenedForTest> {
    const connections = await openConnections(url);
    const opened = await openMariadbCredentials(connections, 50);
    return {
      ...opened,
      close: async () => {
        opened.close();
        await connections[Symbol.asyncDispose]();
      },
    };
  }

  credentialContract("credentials in MariaDB", async () => {
    const { url } = await database();
    return [await viewOf(url), await viewOf(url)];
  });

  describe("sessions by the server's own clock", () => {
    const now = "UNIX_TIMESTAMP() * 1000";
    const put = (connections: Connections, id: string, usedAgoMs: number, leftMs: number): Promise<unknown> =>
      connections.write([`INSERT INTO sessions VALUES ('${id}', 'h', ${now} - ${usedAgoMs}, ${now} + ${leftMs})`]);

    test("whatever clock its managers have, a session ends when it is idle or old, and a use is noted now and then", async () => {
      const { connections } = await database();
      const sessions = mariadbSessions(connections);
      await put(connections, "well", apiLimits.sessionNotedMs + 5_000, 60_000);
      await put(connections, "just used", 0, 60_000);
      await put(connections, "idle", apiLimits.sessionIdleMs, 60_000);
      await put(connections, "old", 0, 0);
      for (const at of [0, Date.now(), 1e15]) {
        for (const id of ["well", "just used"]) expect(await sessions.useSession(id, at), id).toMatchObject({ tokenHash: "h" });
        for (const id of ["idle", "old", "none"]) expect(await sessions.useSession(id, at), id).toBeNull();
      }
      const noted = await connections.read(`SELECT id FROM sessions WHERE used_at > ${now} - 60000 ORDER BY id`);
      expect(noted.flat()).toEqual(["just used", "old", "well"]);
    });

    test("there are as many as the bound says; ended ones and the longest unused give way", async () => {
      const { connections } = await database();
      const sessions = mariadbSessions(connections);
      await connections.write([
        `INSERT INTO sessions SELECT CONCAT('s', seq), 'h', ${now} - seq, ${now} + 60000 FROM seq_1_to_${apiLimits.sessions}`,
      ]);
      await sessions.beginSession("new", "h", 0);
      const count = async (): Promise<number> => Number((await connections.read("SELECT COUNT(*) FROM sessions"))[0]?.[0]);
      expect(await count()).toBe(apiLimits.sessions);
      expect(await sessions.useSession(`s${apiLimits.sessions}`, 0)).toBeNull();
      expect(await sessions.useSession("s1", 0)).not.toBeNull();
      await connections.write([`UPDATE sessions SET used_at = used_at - ${apiLimits.sessionIdleMs} WHERE id LIKE 's%'`]);
      await sessions.beginSession("newer", "h", 0);
      expect(await count()).toBe(2);
    });
  });

  test("only hashes are in the tables", async () => {
    const { url, connections } = await database();
    const one = await viewOf(url);
    const token = await one.book.change(withToken({ name: "admin" }));
    await one.close();
    expect(JSON.stringify(await connections.read("SELECT * FROM tokens"))).not.toContain(token.slice(4));
  });

  test("while the database is away a manager goes on with what it knew last, and learns the rest when it is back", async () => {
    const { url } = await database();
    const [one, other] = [await viewOf(url), await viewOf(url)];
    const token = await one.book.change(withToken({ name: "admin" }));
    await until("the other to know it", () => other.verify.verifyToken(token));
    await server.kill();
    await expect(one.book.change(withToken({ name: "late" }))).rejects.toThrow(/database does not answer/);
    expect(other.verify.verifyToken(token)).toEqual({ name: "admin" });
    await server.restart();
    await one.book.change(withoutTokens("admin"));
    await until("the other to know that it is revoked", () => !other.verify.verifyToken(token));
    await Promise.all([one.close(), other.close()]);
  });

  describe("a file that was there before", () => {
    test("is taken over once and moved aside; what was revoked since does not return with an old copy", async () => {
      const { url, connections } = await database();
      const view = await viewOf(url);
      onTestFinished(view.close);
      const file = join(temporaryFolder(), "credentials.json");
      expect(await takeOverFile(connections, file)).toBeUndefined();
      const token = addToken(file, { name: "admin" });
      const password = addClient(file, { username: "edge-a", pool: "default", role: "worker" });
      const taken = await takeOverFile(connections, file);
      expect(taken).toEqual({ tokens: 1, clients: 1, known: 0, movedTo: `${file}.taken-over` });
      expect(existsSync(file)).toBe(false);
      await until("the token to be known", () => view.verify.verifyToken(token));
      expect(view.verify.verifyClient("edge-a", password)).toEqual({ pool: "default", role: "worker" });
      await view.book.change(withoutTokens("admin"));
      renameSync(`${file}.taken-over`, file);
      expect(await takeOverFile(connections, file)).toMatchObject({ tokens: 0, clients: 0, known: 2 });
      expect((await view.book.read()).tokens).toEqual([]);
    });

    test("of a second manager joins the first one's; who is known in both stays as the database has it", async () => {
      const { url, connections } = await database();
      const [first, second] = [temporaryFolder(), temporaryFolder()].map((folder) => join(folder, "credentials.json"));
      const tokens = [first, second].map((file) => addToken(file as string, { name: "admin" }));
      const [kept, other] = [first, second].map((file) =>
        addClient(file as string, { username: "manager", pool: "default", role: "manager" }),
      );
      expect(await takeOverFile(connections, first as string)).toMatchObject({ tokens: 1, clients: 1 });
      expect(await takeOverFile(connections, second as string)).toMatchObject({ tokens: 1, clients: 0, known: 1 });
      const view = await viewOf(url);
      onTestFinished(view.close);
      for (const token of tokens) expect(view.verify.verifyToken(token)).toEqual({ name: "admin" });
      expect(view.verify.verifyClient("manager", kept as string)).toBeDefined();
      expect(view.verify.verifyClient("manager", other as string)).toBeUndefined();
    });

    test("that is damaged is an error that names it, and stays where it is", async () => {
      const { connections } = await database();
      const file = join(temporaryFolder(), "credentials.json");
      writeFileSync(file, "{");
      await expect(takeOverFile(connections, file)).rejects.toThrow(`the credentials file ${file} is damaged`);
      expect(existsSync(file)).toBe(true);
    });
  });

  describe("a command beside the managers", () => {
    test("writes where they read: also before the first of them has started, and with what a file held", async () => {
      const dataDir = temporaryFolder();
      const old = addToken(join(dataDir, "credentials.json"), { name: "ci" });
      const url = await server.database();
      const said: string[] = [];
      await using book = await openCredentialBook({ databaseUrl: url, dataDir }, (sentence) => said.push(sentence));
      const token = await book.change(withToken({ name: "admin" }));
      expect(said).toEqual([expect.stringMatching(/taken over into the database.*credentials.json, now .*taken-over/)]);
      const view = await viewOf(url);
      onTestFinished(view.close);
      for (const text of [old, token]) expect(view.verify.verifyToken(text)).toBeDefined();
      expect(book.where).toBe(`the database mysql://muster@127.0.0.1:${server.port}/${new URL(url).pathname.slice(1)}`);
    });

    test("that was not told of the database says where the credentials are, instead of writing a file that nobody reads", async () => {
      const dataDir = temporaryFolder();
      putSignpost(dataDir, "mysql://muster@db.example:3306/muster");
      await expect(openCredentialBook({ databaseUrl: null, dataDir }, () => undefined)).rejects.toThrow(
        `the manager of ${dataDir} keeps its credentials in mysql://muster@db.example:3306/muster; give MUSTER_DATABASE_URL as it has it`,
      );
      putSignpost(dataDir, null);
      await using book = await openCredentialBook({ databaseUrl: null, dataDir }, () => undefined);
      await book.change(withToken({ name: "admin" }));
      expect(revokeTokens(join(dataDir, "credentials.json"), "admin")).toBe(1);
    });
  });
});
