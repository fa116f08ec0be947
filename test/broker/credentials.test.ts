import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  addClient,
  addToken,
  listNames,
  mosquittoPasswd,
  openCredentials,
  removeClient,
  revokeTokens,
} from "../../broker/credentials.ts";
import { passwordMatches } from "../../broker/secrets.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "muster-credentials-"));
  file = join(folder, "data", "credentials.json");
});
afterEach(() => rmSync(folder, { recursive: true }));

const edgeA = { username: "edge-a", pool: "default", role: "worker" } as const;
const preset = "a-preset-secret-of-enough-length";

describe("tokens", () => {
  test("a new one has 256 random bits, is known by its name, and only its hash is in the file", () => {
    const credentials = openCredentials(file);
    const token = addToken(file, { name: "admin" });
    expect(token).toMatch(/^mst_[A-Za-z0-9_-]{43}$/);
    expect(addToken(file, { name: "admin" })).not.toBe(token);
    expect(credentials.verifyToken(token)).toEqual({ name: "admin" });
    expect(credentials.verifyToken(`${token}x`)).toBeUndefined();
    expect(credentials.verifyToken("")).toBeUndefined();
    expect(credentials.verifyToken("__proto__")).toBeUndefined();
    expect(readFileSync(file, "utf8")).not.toContain(token.slice(4));
  });

  test("a revoked one stops working at once, another name's goes on", () => {
    const credentials = openCredentials(file);
    const old = addToken(file, { name: "admin" });
    const fresh = addToken(file, { name: "admin" });
    const other = addToken(file, { name: "ci" });
    expect(revokeTokens(file, "admin", fresh)).toBe(1);
    expect(credentials.verifyToken(old)).toBeUndefined();
    expect(credentials.verifyToken(fresh)).toEqual({ name: "admin" });
    expect(revokeTokens(file, "admin")).toBe(1);
    expect(revokeTokens(file, "admin")).toBe(0);
    expect(credentials.verifyToken(fresh)).toBeUndefined();
    expect(credentials.verifyToken(other)).toEqual({ name: "ci" });
    expect(listNames(file).tokens).toEqual(["ci"]);
  });

  test("a preset one is taken once, must be long and belongs to one name", () => {
    expect(addToken(file, { name: "admin", token: preset })).toBe(preset);
    expect(addToken(file, { name: "admin", token: preset })).toBe(preset);
    expect(JSON.parse(readFileSync(file, "utf8")).tokens).toHaveLength(1);
    expect(() => addToken(file, { name: "other", token: preset })).toThrow("belongs to admin");
    expect(() => addToken(file, { name: "admin", token: "short-secret-of-23-char" })).toThrow(
      "a token must have at least 24 characters; it has 23",
    );
    expect(() => addToken(file, { name: "admin", token: "has a space in it, which is bad" })).toThrow("without spaces");
    expect(() => addToken(file, { name: "with/slash" })).toThrow("a token's name must be 1 to 36 characters");
  });
});

describe("clients", () => {
  test("a password is known again with pool and role; any other is not", () => {
    const credentials = openCredentials(file);
    const password = addClient(file, edgeA);
    addClient(file, { username: "manager", pool: "default", role: "manager" });
    expect(password).toMatch(/^[A-Za-z0-9_-]{43}$/);
    for (let again = 0; again < 2; again += 1)
      expect(credentials.verifyClient("edge-a", password)).toEqual({ pool: "default", role: "worker" });
    expect(credentials.verifyClient("edge-a", `${password}x`)).toBeUndefined();
    expect(credentials.verifyClient("manager", password)).toBeUndefined();
    expect(credentials.verifyClient("nobody", password)).toBeUndefined();
    expect(credentials.verifyClient("edge-a", "x".repeat(10_000))).toBeUndefined();
    expect(listNames(file).clients).toEqual([edgeA, { username: "manager", pool: "default", role: "manager" }]);
  });

  test("an old password is forgotten when it is replaced, and a removed client with it", () => {
    const credentials = openCredentials(file);
    const old = addClient(file, edgeA);
    expect(credentials.verifyClient("edge-a", old)).toBeDefined();
    expect(() => addClient(file, edgeA)).toThrow("edge-a exists already");
    expect(credentials.verifyClient("edge-a", old)).toBeDefined();
    const fresh = addClient(file, { ...edgeA, pool: "other", replace: true });
    expect(credentials.verifyClient("edge-a", old)).toBeUndefined();
    expect(credentials.verifyClient("edge-a", fresh)).toEqual({ pool: "other", role: "worker" });
    expect(removeClient(file, "edge-a")).toBe(true);
    expect(removeClient(file, "edge-a")).toBe(false);
    expect(credentials.verifyClient("edge-a", fresh)).toBeUndefined();
  });

  test("ids are checked, and no worker is called manager", () => {
    for (const username of ["", "a/b", "a+", "#", "a b", "$SYS", "x".repeat(37)])
      expect(() => addClient(file, { ...edgeA, username })).toThrow("a worker's id must be 1 to 36");
    expect(() => addClient(file, { ...edgeA, pool: "a/b" })).toThrow("a pool's name must be");
    expect(() => addClient(file, { ...edgeA, username: "manager" })).toThrow("reserved for managers");
    expect(() => addClient(file, { ...edgeA, password: "short" })).toThrow("a password must have at least 24 characters");
    expect(addClient(file, { ...edgeA, password: preset })).toBe(preset);
  });

  test("hashes are those of Mosquitto's password file", () => {
    addClient(file, { ...edgeA, password: preset });
    expect(mosquittoPasswd(file)).toMatch(/^edge-a:\$7\$101\$[A-Za-z0-9+/]{16}\$[A-Za-z0-9+/]{86}==\n$/);
    // Written by mosquitto_passwd 2.0.11.
    const theirs =
      "$7$101$xZPwX2/SoyjkA70i$enYdaP1oIPDU25B28TZYC1RP/idgigRiWZEcVGJb3AFDi30Du13EdTuPZe6+MNXznfM66UpArciS8h8Pj9NjaA==";
    expect(passwordMatches(preset, theirs)).toBe(true);
    expect(passwordMatches(`${preset}x`, theirs)).toBe(false);
    expect(passwordMatches(preset, "$6$abc$def")).toBe(false);
  });
});

describe("the file", () => {
  test("is only its owner's, and nothing else is left beside it but the lock", () => {
    addToken(file, { name: "admin" });
    addClient(file, edgeA);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "data")).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(folder, "data")).toSorted()).toEqual(["credentials.json", "credentials.json.lock"]);
  });

  test.each([
    ["half a file", '{"tokens":[{"name":"adm'],
    ["nothing", ""],
    ["another shape", '{"tokens":{}}'],
    ["an unknown key", '{"tokens":[],"clients":[],"more":1}'],
    ["a hash of another form", '{"tokens":[{"name":"admin","hash":"plain text"}],"clients":[]}'],
  ])("%s is an error that names the file, at open and at a later use, and is never overwritten", (_what, content) => {
    const token = addToken(file, { name: "admin" });
    const credentials = openCredentials(file);
    writeFileSync(file, content);
    const sentence = new RegExp(`the credentials file ${file} is damaged .*put a backup back`);
    expect(() => openCredentials(file)).toThrow(sentence);
    expect(() => credentials.verifyToken(token)).toThrow(sentence);
    expect(() => credentials.verifyToken(token)).toThrow(sentence);
    expect(() => addToken(file, { name: "other" })).toThrow(sentence);
    expect(readFileSync(file, "utf8")).toBe(content);
  });

  test("that disappears while it is in use is an error; one that was never there holds nobody", () => {
    expect(openCredentials(file).verifyToken("mst_x")).toBeUndefined();
    const token = addToken(file, { name: "admin" });
    const credentials = openCredentials(file);
    renameSync(file, `${file}.away`);
    expect(() => credentials.verifyToken(token)).toThrow("is gone");
    renameSync(`${file}.away`, file);
    expect(credentials.verifyToken(token)).toEqual({ name: "admin" });
  });

  test("four processes that write at once lose nothing of one another", async () => {
    const script = `
      const { addToken } = await import(${JSON.stringify(new URL("../../broker/credentials.ts", import.meta.url).href)});
      for (let n = 0; n < 10; n += 1) addToken(${JSON.stringify(file)}, { name: process.argv[1] + "-" + n });
    `;
    const run = promisify(execFile);
    await Promise.all(["a", "b", "c", "d"].map((name) => run(process.execPath, ["--input-type=module", "-e", script, name])));
    expect(listNames(file).tokens.toSorted()).toEqual(
      ["a", "b", "c", "d"].flatMap((name) => Array.from({ length: 10 }, (_, n) => `${name}-${n}`)).toSorted(),
    );
  });
});
