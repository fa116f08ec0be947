/** Browser sessions: a posted token is kept on this side, the browser gets a random name for it in a cookie no script can read. */
import { apiLimits } from "../../schema/limits.ts";
import { sha256Hex } from "../../schema/digest.ts";
import type { Dice } from "../../schema/given.ts";
import type { Clock } from "../../schema/kit/clock.ts";

export interface Session {
  /** What was posted; it is verified again at each use, so a revoked token ends its sessions at once. */
  readonly token: string;
  /** Wall ms after which it ends however much it is used. */
  readonly expiresAt: number;
}

export interface Sessions {
  /** Begins a session; returns the cookie's value. */
  begin(token: string): { readonly value: string; readonly session: Session };
  /** The session of a cookie's value, unless it was idle or has run too long. Counts as a use. */
  find(value: string): Session | undefined;
  end(value: string): void;
}

/** Sessions in memory, at most `apiLimits.sessions`: after a restart of the manager people sign in again. */
export function makeSessions(clock: Clock, dice: Dice): Sessions {
  // By digest of the cookie's value: a lookup then tells nothing by its timing. In order of use, the longest unused first.
  const live = new Map<string, { readonly session: Session; readonly until: number; usedAt: number }>();
  return {
    begin(token) {
      const now = clock.now();
      const value = `${dice.id()}${dice.id()}`;
      const session = { token, expiresAt: now.wall + apiLimits.sessionMs };
      if (live.size >= apiLimits.sessions) {
        const [longestUnused] = live.keys();
        if (longestUnused !== undefined) live.delete(longestUnused);
      }
      live.set(sha256Hex(value), { session, until: now.mono + apiLimits.sessionMs, usedAt: now.mono });
      return { value, session };
    },
    find(value) {
      const key = sha256Hex(value);
      const entry = live.get(key);
      if (!entry) return undefined;
      const { mono } = clock.now();
      live.delete(key);
      if (mono >= entry.until || mono - entry.usedAt >= apiLimits.sessionIdleMs) return undefined;
      entry.usedAt = mono;
      live.set(key, entry);
      return entry.session;
    },
    end(value) {
      live.delete(sha256Hex(value));
    },
  };
}

/** The cookie's name: with https its prefix makes browsers refuse it from anybody but this very host. */
export function cookieName(secure: boolean): string {
  return secure ? "__Host-muster" : "muster_session";
}

/** The `Set-Cookie` that begins (or, with an empty value, ends) a session. */
export function setCookie(secure: boolean, value: string): string {
  const seconds = value === "" ? 0 : Math.floor(apiLimits.sessionMs / 1_000);
  return `${cookieName(secure)}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure ? "; Secure" : ""}`;
}

/** The session cookie's value in a `Cookie` header; undefined when there is none. */
export function cookieOf(header: string | null, secure: boolean): string | undefined {
  const name = `${cookieName(secure)}=`;
  for (const part of header?.split(";") ?? []) {
    const pair = part.trim();
    if (pair.startsWith(name)) return pair.slice(name.length);
  }
  return undefined;
}
