/** Who may use the API and the broker, as a value: what it looks like, and every change of it. Where it is kept is for others. */
import * as z from "zod";
import { defaultPool, id, managerUsername } from "../schema/ids.ts";
import { brokerLimits } from "../schema/limits.ts";
import type { ClientRole } from "./access.ts";
import { clientHashPattern, hashPassword, hashToken, newPassword, newToken, tokenHashPattern, whyNotSecret } from "./secrets.ts";

const tokenEntry = z.strictObject({ name: id, hash: z.string().regex(tokenHashPattern) });
const clientEntry = z.strictObject({
  username: id,
  hash: z.string().regex(clientHashPattern),
  pool: id,
  role: z.enum(["worker", "manager"]),
});

export const credentialsShape = z.strictObject({
  tokens: z.array(tokenEntry).max(brokerLimits.tokens),
  clients: z.array(clientEntry).max(brokerLimits.clients),
});

/** Hashes only, so that whoever reads it can check a secret but not show one. */
export type CredentialsContent = z.infer<typeof credentialsShape>;

/** Makes another content of one, and an answer. Throws a sentence when it cannot be. */
export type CredentialsChange<T> = (content: CredentialsContent) => readonly [CredentialsContent, T];

/** The content, checked before it is kept. Throws a sentence. */
export function checkedContent(where: string, content: CredentialsContent): CredentialsContent {
  const checked = credentialsShape.safeParse(content);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  throw new Error(`not written to ${where}: ${issue?.path.join(".")}: ${issue?.message}`);
}

export interface NewToken {
  readonly name: string;
  readonly token?: string | undefined;
}

/**
 * Adds a token, random unless it is given, and returns its text: the only time that anybody sees it. A name may have several
 * tokens; a given one that is there already stays as it is. Throws a sentence for a name or token that cannot be taken.
 */
export function withToken({ name, token = newToken() }: NewToken): CredentialsChange<string> {
  checkId("a token's name", name);
  refuse(whyNotSecret("a token", token));
  const hash = hashToken(token);
  return (content) => {
    const holder = content.tokens.find((entry) => entry.hash === hash)?.name;
    if (holder !== undefined && holder !== name) throw new Error(`this token belongs to ${holder} already; choose another`);
    if (holder === undefined && content.tokens.length >= brokerLimits.tokens)
      throw new Error(`there are ${brokerLimits.tokens} tokens, which is the most; revoke some`);
    return [holder === undefined ? { ...content, tokens: [...content.tokens, { name, hash }] } : content, token];
  };
}

/** Removes every token of a name, except `keep` if it is given; returns how many. They stop working at their next use. */
export function withoutTokens(name: string, keep?: string): CredentialsChange<number> {
  const kept = keep === undefined ? undefined : hashToken(keep);
  return (content) => {
    const tokens = content.tokens.filter((entry) => entry.name !== name || entry.hash === kept);
    return [{ ...content, tokens }, content.tokens.length - tokens.length];
  };
}

/**
 * Adds a token, and revokes every other of its name in the same change: nobody ever finds both in force, or none. Returns its
 * text and how many were revoked.
 */
export function withOnlyToken(made: NewToken): CredentialsChange<{ readonly token: string; readonly revoked: number }> {
  const add = withToken(made);
  return (content) => {
    const [added, token] = add(content);
    const [next, revoked] = withoutTokens(made.name, token)(added);
    return [next, { token, revoked }];
  };
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
export function withClient({
  username,
  pool,
  role,
  password = newPassword(),
  replace = false,
}: NewClient): CredentialsChange<string> {
  checkId(role === "worker" ? "a worker's id" : "a username", username);
  checkId("a pool's name", pool);
  if (username === managerUsername && role !== "manager")
    throw new Error(`the username ${managerUsername} is reserved for managers; choose another id`);
  refuse(whyNotSecret("a password", password));
  const entry = { username, hash: hashPassword(password), pool, role };
  return (content) => {
    const others = content.clients.filter((client) => client.username !== username);
    const before = content.clients.find((client) => client.username === username);
    if (before && !replace)
      throw new Error(
        `${username} exists already (${before.role} in pool ${before.pool}); remove it first, or choose another id`,
      );
    if (others.length >= brokerLimits.clients) throw new Error(`there are ${brokerLimits.clients} clients, which is the most`);
    return [{ ...content, clients: [...others, entry] }, password];
  };
}

/** Removes a client of the broker; false when there was none. A connection that it has goes on until it is kicked. */
export function withoutClient(username: string): CredentialsChange<boolean> {
  return (content) => {
    const clients = content.clients.filter((client) => client.username !== username);
    return [{ ...content, clients }, clients.length < content.clients.length];
  };
}

/**
 * Makes sure that a manager can come in to a broker of its own: without one in the content it gets one. Returns its password,
 * to be shown once; undefined when there is a manager already.
 */
export function withSomeManager(): CredentialsChange<string | undefined> {
  return (content) =>
    content.clients.some((client) => client.role === "manager")
      ? [content, undefined]
      : withClient({ username: managerUsername, pool: defaultPool, role: "manager" })(content);
}

/** Everybody of `more` who is not in the content yet; who is there stays as it is. Returns how many were added, and how many were not. */
export function withAllOf(more: CredentialsContent): CredentialsChange<{ tokens: number; clients: number; known: number }> {
  return (content) => {
    const hashes = new Set(content.tokens.map(({ hash }) => hash));
    const names = new Set(content.clients.map(({ username }) => username));
    const tokens = more.tokens.filter(({ hash }) => !hashes.has(hash));
    const clients = more.clients.filter(({ username }) => !names.has(username));
    const known = more.tokens.length + more.clients.length - tokens.length - clients.length;
    const all = { tokens: [...content.tokens, ...tokens], clients: [...content.clients, ...clients] };
    return [all, { tokens: tokens.length, clients: clients.length, known }];
  };
}

export interface CredentialNames {
  /** Holders of tokens, each once. */
  readonly tokens: readonly string[];
  readonly clients: readonly { readonly username: string; readonly pool: string; readonly role: ClientRole }[];
}

/** Everybody in it, without a hash. */
export function namesIn({ tokens, clients }: CredentialsContent): CredentialNames {
  return {
    tokens: [...new Set(tokens.map(({ name }) => name))],
    clients: clients.map(({ username, pool, role }) => ({ username, pool, role })),
  };
}

/** The text of a password file for Mosquitto that lets in the same clients. */
export function mosquittoPasswdOf({ clients }: CredentialsContent): string {
  return clients.map(({ username, hash }) => `${username}:${hash}\n`).join("");
}

function checkId(what: string, value: string): void {
  const [issue] = id.safeParse(value).error?.issues ?? [];
  if (issue) throw new Error(`${what} ${issue.message}; ${JSON.stringify(value.slice(0, 64))} is not`);
}

function refuse(why: string | undefined): void {
  if (why !== undefined) throw new Error(why);
}
