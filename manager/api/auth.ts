/** Who asks, and whether they may: the one place that decides it for every route. */
import { problem, ProblemError } from "../../schema/problem.ts";
import type { ApiParts } from "./deps.ts";
import type { Permission } from "./route.ts";
import { cookieOf } from "./sessions.ts";
import { notTakenFor } from "./store-trouble.ts";
import type { Streamed } from "./streams.ts";
import { commandOf } from "../../schema/command.ts";

const inQuery = /[?&](token|access_token|api_key|apikey|authorization)=/i;
const safeMethods = new Set(["GET", "HEAD"]);

/**
 * The name of the asker's token, empty where none is needed. Throws (or rejects with) 401 without a good token, 403 when a browser's session
 * is used from another site. A route whose permission is not stated is refused.
 */
export function admit(parts: ApiParts, permission: Permission | undefined, request: Request): string | Promise<string> {
  if (permission === "open" || permission === "ticket") return "";
  const name = identify(parts, request);
  const admitted = (known: string): string => {
    if (permission === undefined) throw problem("forbidden", "nothing is allowed here");
    parts.rate.take(known);
    return known;
  };
  // A token is known at once, and thousands a second come by one: they do not pay for the wait that a session is.
  return typeof name === "string" ? admitted(name) : name.then(admitted);
}

/**
 * Ends a stream within `streamRecheckMs` once the token or the session that it was opened with holds no longer: by revocation,
 * sign-out or age. Looking counts as a use, so a session is not idle while a page of it listens.
 */
export function endWithAdmission(
  parts: ApiParts,
  permission: Permission | undefined,
  request: Request,
  streamed: Streamed,
): void {
  if (permission === "open" || permission === "ticket") return;
  const recheck = setInterval(() => {
    void holds(parts, request).then((still) => {
      if (!still) streamed.end();
    });
  }, parts.limits.streamRecheckMs).unref();
  void streamed.closed.then(() => clearInterval(recheck));
}

async function holds(parts: ApiParts, request: Request): Promise<boolean> {
  try {
    await identify(parts, request);
    return true;
  } catch (error) {
    // While the database is away nobody knows, and nothing is ended for that.
    return !(error instanceof ProblemError && error.problem.code === "unauthorized");
  }
}

/** Throws 401 unless a token or a session says who asks. */
function identify(parts: ApiParts, request: Request): string | Promise<string> {
  if (inQuery.test(request.url)) {
    throw problem(
      "unauthorized",
      "a token belongs in the header Authorization: Bearer …; one in an address ends up in logs, so revoke it",
    );
  }
  const header = request.headers.get("authorization");
  if (header !== null) {
    const token = /^Bearer +(\S+) *$/i.exec(header)?.[1];
    const known = token === undefined ? undefined : parts.credentials.verifyToken(token);
    if (!known) throw problem("unauthorized", `the token is not known; \`${commandOf("token")}\` makes a new one`);
    return known.name;
  }
  const cookie = cookieOf(request.headers.get("cookie"), parts.secure);
  if (cookie === undefined) throw problem("unauthorized", "send a token in the header Authorization: Bearer <token>");
  return bySession(parts, request, cookie);
}

/** Rejects with 503 when the store cannot say whether the session holds: nothing was done. */
async function bySession(parts: ApiParts, request: Request, cookie: string): Promise<string> {
  const session = await parts.sessions.find(cookie).catch((error: unknown) => {
    throw notTakenFor(error);
  });
  const known = session && parts.credentials.holderOf(session.tokenHash);
  if (!known) throw problem("unauthorized", "the session has ended; sign in again");
  if (!safeMethods.has(request.method)) mustBeSameSite(parts, request, true);
  return known.name;
}

/**
 * Refuses (403) what a page of another origin made the browser send. `Sec-Fetch-Site` where the browser has it, else
 * `Origin`; with `required` one of them must be there, because every browser sends one with an unsafe method.
 */
export function mustBeSameSite(parts: ApiParts, request: Request, required: boolean): void {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null) {
    if (site === "same-origin") return;
    throw problem("forbidden", "a session can be used by Muster's own pages only");
  }
  const origin = request.headers.get("origin");
  if (origin === null && !required) return;
  const own = [new URL(request.url).host, ...(parts.publicUrl === null ? [] : [new URL(parts.publicUrl).host])];
  if (origin !== null && URL.canParse(origin) && own.includes(new URL(origin).host)) return;
  throw problem(
    "forbidden",
    "a session can be used by Muster's own pages only; scripts send a token in Authorization: Bearer <token>",
  );
}
