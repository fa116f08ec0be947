/** Checks secrets against a content of credentials: quick, because thousands of requests and reconnects a second ask. */
import { createHash } from "node:crypto";
import { brokerLimits } from "../schema/limits.ts";
import type { ClientVerifier } from "./access.ts";
import type { CredentialsContent } from "./credentials-content.ts";
import { hashToken, passwordMatches } from "./secrets.ts";

export interface TokenVerifier {
  /** The name of a token's holder; undefined for a token that nobody has. Throws a sentence when the credentials cannot be read any more. */
  verifyToken(token: string): { readonly name: string } | undefined;
  /** The same for a token of which only the hash was kept (`hashToken`). */
  holderOf(hash: string): { readonly name: string } | undefined;
}

export interface Credentials extends TokenVerifier, ClientVerifier {}

/** A content, laid out for lookups. */
export interface Lookup {
  readonly tokens: ReadonlyMap<string, string>;
  /** Those that were shown since it was laid out, as they are: a hash for each request would cost more than its check. */
  readonly knownTokens: Map<string, string>;
  readonly clients: ReadonlyMap<string, CredentialsContent["clients"][number]>;
}

export function lookupOf(content: CredentialsContent): Lookup {
  return {
    tokens: new Map(content.tokens.map(({ name, hash }) => [hash, name])),
    knownTokens: new Map(),
    clients: new Map(content.clients.map((client) => [client.username, client])),
  };
}

/** Checks against whatever `current` gives at that moment. */
export function checkAgainst(current: () => Lookup): Credentials {
  const verified = new Map<string, true>();
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
