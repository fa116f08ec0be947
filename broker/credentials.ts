/** Who may use the API and the broker: tokens and client passwords, of which only hashes are kept. */
import { createHash } from "node:crypto";
import { id, managerUsername } from "../schema/ids.ts";
import { brokerLimits } from "../schema/limits.ts";
import type { ClientRole, ClientVerifier } from "./access.ts";
import {
  changeCredentials,
  changesMade,
  readCredentials,
  stampOf,
  type CredentialsContent,
  type FileStamp,
} from "./credentials-file.ts";
import { hashPassword, hashToken, newPassword, newToken, passwordMatches, whyNotSecret } from "./secrets.ts";

export interface TokenVerifier {
  /** The name of a token's holder; undefined for a token that nobody has. Throws a sentence when the file became unreadable. */
  verifyToken(token: string): { readonly name: string } | undefined;
  /** The same for a token of which only the hash was kept (`hashToken`). */
  holderOf(hash: string): { readonly name: string } | undefined;
}

export interface Credentials extends TokenVerifier, ClientVerifier {}

interface Loaded {
  readonly stamp: FileStamp | undefined;
  readonly tokens: ReadonlyMap<string, string>;
  /** Those that were shown since the file was read, as they are: a hash for each request would cost more than its check. */
  readonly knownTokens: Map<string, string>;
  readonly clients: ReadonlyMap<string, CredentialsContent["clients"][number]>;
}

/**
 * The credentials in a file, read again whenever it was replaced. A file that is not there yet holds nobody. Throws a
 * sentence that names the file when it is damaged, now or at a later use: a revoked token must not live on in memory.
 */
export function openCredentials(file: string): Credentials {
  let loaded = load(file, undefined);
  const verified = new Map<string, true>();
  /** Changes of this process's own when the file was last looked at, in this turn of the event loop; undefined in a new turn. */
  let lookedAt: number | undefined;

  // One look for everything that one turn brings: thousands of requests a second share it.
  const current = (): Loaded => {
    if (lookedAt === changesMade()) return loaded;
    const stamp = stampOf(file);
    if (!sameFile(stamp, loaded.stamp)) loaded = load(file, loaded);
    lookedAt = changesMade();
    setImmediate(() => (lookedAt = undefined));
    return loaded;
  };

  return {
    verifyToken(token) {
      if (token.length > brokerLimits.secretCharsMax) return undefined;
      const { tokens, knownTokens } = current();
      let name = knownTokens.get(token);
      if (name === undefined) {
        name = tokens.get(hashToken(token));
        // There are no more of them than tokens.
        if (name !== undefined) knownTokens.set(token, name);
      }
      return name === undefined ? undefined : { name };
    },
    holderOf(hash) {
      const name = current().tokens.get(hash);
      return name === undefined ? undefined : { name };
    },
    verifyClient(username, password) {
      const client = current().clients.get(username);
      if (!client || password.length > brokerLimits.secretCharsMax) return undefined;
      // The key holds the stored hash, so that an old password is not remembered beyond its change.
      const key = createHash("sha256").update(`${username}\0${client.hash}\0${password}`).digest("base64");
      if (!verified.has(key)) {
        if (!passwordMatches(password, client.hash)) return undefined;
        if (verified.size >= brokerLimits.verifiedPasswords) verified.clear();
        verified.set(key, true);
      }
      return { pool: client.pool, role: client.role };
    },
  };
}

function load(file: string, before: Loaded | undefined): Loaded {
  // The stamp is taken first: a file that is replaced in between is then read again at the next use.
  const stamp = stampOf(file);
  if (!stamp && before?.stamp)
    throw new Error(`the credentials file ${file} is gone; put a backup back, or start again to make new ones`);
  const content = readCredentials(file);
  return {
    stamp,
    tokens: new Map(content.tokens.map(({ name, hash }) => [hash, name])),
    knownTokens: new Map(),
    clients: new Map(content.clients.map((client) => [client.username, client])),
  };
}

function sameFile(one: FileStamp | undefined, other: FileStamp | undefined): boolean {
  return one?.inode === other?.inode && one?.changedNs === other?.changedNs && one?.sizeBytes === other?.sizeBytes;
}

/**
 * Adds a token, random unless it is given, and returns its text: the only time that anybody sees it. A name may have several
 * tokens; a given one that is there already stays as it is. Throws a sentence for a name or token that cannot be taken.
 */
export function addToken(
  file: string,
  { name, token = newToken() }: { readonly name: string; readonly token?: string | undefined },
): string {
  checkId("a token's name", name);
  refuse(whyNotSecret("a token", token));
  const hash = hashToken(token);
  return changeCredentials(file, (content) => {
    const holder = content.tokens.find((entry) => entry.hash === hash)?.name;
    if (holder !== undefined && holder !== name) throw new Error(`this token belongs to ${holder} already; choose another`);
    if (holder === undefined && content.tokens.length >= brokerLimits.tokens)
      throw new Error(`${file} holds ${brokerLimits.tokens} tokens, which is the most; revoke some`);
    return [holder === undefined ? { ...content, tokens: [...content.tokens, { name, hash }] } : content, token];
  });
}

/** Removes every token of a name, except `keep` if it is given; returns how many. They stop working at their next use. */
export function revokeTokens(file: string, name: string, keep?: string): number {
  const kept = keep === undefined ? undefined : hashToken(keep);
  return changeCredentials(file, (content) => {
    const tokens = content.tokens.filter((entry) => entry.name !== name || entry.hash === kept);
    return [{ ...content, tokens }, content.tokens.length - tokens.length];
  });
}

export interface NewClient {
  /** A worker's id; `manager` is for the role manager alone. */
  readonly username: string;
  readonly pool: string;
  readonly role: ClientRole;
  /** Random unless it is given. */
  readonly password?: string | undefined;
  /** Gives a username that exists a new password, pool and role; without it that is an error, since its holder would be locked out. */
  readonly replace?: boolean | undefined;
}

/** Adds a client of the broker and returns its password: the only time that anybody sees it. Throws a sentence otherwise. */
export function addClient(file: string, { username, pool, role, password = newPassword(), replace = false }: NewClient): string {
  checkId(role === "worker" ? "a worker's id" : "a username", username);
  checkId("a pool's name", pool);
  if (username === managerUsername && role !== "manager")
    throw new Error(`the username ${managerUsername} is reserved for managers; choose another id`);
  refuse(whyNotSecret("a password", password));
  const entry = { username, hash: hashPassword(password), pool, role };
  return changeCredentials(file, (content) => {
    const others = content.clients.filter((client) => client.username !== username);
    const before = content.clients.find((client) => client.username === username);
    if (before && !replace)
      throw new Error(
        `${username} exists already (${before.role} in pool ${before.pool}); remove it first, or choose another id`,
      );
    if (others.length >= brokerLimits.clients)
      throw new Error(`${file} holds ${brokerLimits.clients} clients, which is the most`);
    return [{ ...content, clients: [...others, entry] }, password];
  });
}

/** Removes a client of the broker; false when there was none. A connection that it has goes on until it is kicked. */
export function removeClient(file: string, username: string): boolean {
  return changeCredentials(file, (content) => {
    const clients = content.clients.filter((client) => client.username !== username);
    return [{ ...content, clients }, clients.length < content.clients.length];
  });
}

export interface CredentialNames {
  /** Holders of tokens, each once. */
  readonly tokens: readonly string[];
  readonly clients: readonly { readonly username: string; readonly pool: string; readonly role: ClientRole }[];
}

/** Everybody in the file, without a hash. */
export function listNames(file: string): CredentialNames {
  const { tokens, clients } = readCredentials(file);
  return {
    tokens: [...new Set(tokens.map(({ name }) => name))],
    clients: clients.map(({ username, pool, role }) => ({ username, pool, role })),
  };
}

/** The text of a password file for Mosquitto that lets in the same clients. */
export function mosquittoPasswd(file: string): string {
  return readCredentials(file)
    .clients.map(({ username, hash }) => `${username}:${hash}\n`)
    .join("");
}

function checkId(what: string, value: string): void {
  const [issue] = id.safeParse(value).error?.issues ?? [];
  if (issue) throw new Error(`${what} ${issue.message}; ${JSON.stringify(value.slice(0, 64))} is not`);
}

function refuse(why: string | undefined): void {
  if (why !== undefined) throw new Error(why);
}
