/** Browser sessions: a posted token is known on this side by its hash, the browser gets a random name for it in a cookie no script can read. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { hashToken } from "../../broker/secrets.ts";
import { sha256Hex } from "../../schema/digest.ts";
import type { Dice } from "../../schema/given.ts";
import type { Clock } from "../../schema/kit/clock.ts";
import { apiLimits } from "../../schema/limits.ts";
import type { BodyStore, SessionRow, SessionStore } from "../store/store.ts";

export interface Sessions {
  /** Begins a session, durable when it resolves; `value` is the cookie's. */
  begin(token: string): Promise<{ readonly value: string; readonly session: SessionRow }>;
  /** The session of a cookie's value, unless it has ended. Counts as a use. */
  find(value: string): Promise<SessionRow | null>;
  /** Ends it here at once, and at other managers within `apiLimits.sessionKeptMs`. */
  end(value: string): Promise<void>;
}

interface Kept {
  /** When it was asked for, mono ms. */
  readonly at: number;
  readonly session: Promise<SessionRow | null>;
}

/**
 * Sessions in the store, so that they hold at every manager and outlive each (decision 015). What was found is taken for true
 * for `apiLimits.sessionKeptMs`: a page asks much at once, and that is one look. Rejects when the store cannot say.
 */
export function makeSessions(store: SessionStore & Pick<BodyStore, "secret">, clock: Clock, dice: Dice): Sessions {
  // By digest of the cookie's value: a lookup then tells nothing by its timing. In the order of their looks.
  const kept = new Map<string, Kept>();
  const seal = makeSeal(store);
  const look = (id: string): Promise<SessionRow | null> => {
    const { mono, wall } = clock.now();
    for (const [old, { at }] of kept) {
      if (mono - at < apiLimits.sessionKeptMs && kept.size < apiLimits.sessions) break;
      kept.delete(old);
    }
    const session = store.useSession(id, wall);
    kept.set(id, { at: mono, session });
    // Whoever asks next is to look anew, not to be told of this failure.
    session.catch(() => {
      if (kept.get(id)?.session === session) kept.delete(id);
    });
    return session;
  };
  return {
    async begin(token) {
      const value = await seal.close(`${dice.id()}${dice.id()}`);
      const session = await store.beginSession(sha256Hex(value), hashToken(token), clock.now().wall);
      return { value, session };
    },
    async find(value) {
      // A cookie that nobody gave is not worth a look into the database: strangers could ask for any number of them.
      if (!(await seal.holds(value))) return null;
      const id = sha256Hex(value);
      const known = kept.get(id);
      return await (known && clock.now().mono - known.at < apiLimits.sessionKeptMs ? known.session : look(id));
    },
    async end(value) {
      if (!(await seal.holds(value))) return;
      const id = sha256Hex(value);
      await store.endSession(id);
      kept.delete(id);
    },
  };
}

/** Signs names of sessions as `name.signature`, with a key that all managers share. */
function makeSeal(store: Pick<BodyStore, "secret">): {
  close(name: string): Promise<string>;
  holds(value: string): Promise<boolean>;
} {
  let key: Uint8Array | undefined;
  const sign = async (name: string): Promise<string> => {
    key ??= await store.secret("session");
    return createHmac("sha256", key).update(name).digest("base64url");
  };
  return {
    close: async (name) => `${name}.${await sign(name)}`,
    async holds(value) {
      const [name = "", given = "", ...rest] = value.split(".", 3);
      const [is, should] = [Buffer.from(given), Buffer.from(await sign(name))];
      return rest.length === 0 && is.byteLength === should.byteLength && timingSafeEqual(is, should);
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
