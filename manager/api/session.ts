/** Sign in and out for browsers: a token is posted once, a cookie that no script can read stands for it afterwards. */
import * as z from "zod";
import { problem } from "../../schema/problem.ts";
import { mustBeSameSite } from "./auth.ts";
import { json, route, type AnyRoute } from "./route.ts";
import { notTakenFor } from "./store-trouble.ts";
import { cookieOf, setCookie } from "./sessions.ts";
import { instant } from "./views.ts";
import { commandOf } from "../../schema/command.ts";

const tag = "session";
const sessionView = z.strictObject({
  name: z.string().describe("of the token"),
  expiresAt: z.iso.datetime().describe("it ends earlier when it is not used for half an hour"),
});

const postSession = route<Record<never, never>, Record<never, never>, { token: string }>(
  {
    method: "post",
    path: "/session",
    operationId: "signIn",
    tag,
    summary: "Sign in a browser with a token",
    permission: "open",
    body: {
      kind: "json",
      schema: z.strictObject({ token: z.string().min(1).max(500) }),
      optional: false,
      types: ["application/json"],
      example: { token: "mst_…" },
    },
    replies: {
      201: {
        description: "signed in",
        content: { "application/json": sessionView },
        example: { name: "admin", expiresAt: "2026-11-21T00:00:00.000Z" },
        headers: { "Set-Cookie": "the session: HttpOnly, SameSite=Strict, Secure with https" },
      },
    },
    problems: ["malformed", "unauthorized", "forbidden", "too-large", "unsupported-type", "too-many", "not-taken"],
  },
  async ({ parts, request, body }) => {
    parts.signIns.take("");
    mustBeSameSite(parts, request, false);
    const known = parts.credentials.verifyToken(body.token);
    if (!known) throw problem("unauthorized", `the token is not known; \`${commandOf("token")}\` makes a new one`);
    // One that was begun and not told of is nobody's, so nothing was taken whatever became of it.
    const { value, session } = await parts.sessions.begin(body.token).catch((error: unknown) => {
      throw notTakenFor(error);
    });
    return json(201, { name: known.name, expiresAt: instant(session.endsAt) }, { "set-cookie": setCookie(parts.secure, value) });
  },
);

const deleteSession = route(
  {
    method: "delete",
    path: "/session",
    operationId: "signOut",
    tag,
    summary: "Sign out",
    description: "The session ends at this manager at once, and at every other one within a second.",
    permission: "session",
    replies: { 204: { description: "signed out", headers: { "Set-Cookie": "removes the session" } } },
    problems: ["not-taken"],
  },
  async ({ parts, request }) => {
    const value = cookieOf(request.headers.get("cookie"), parts.secure);
    if (value !== undefined) await parts.sessions.end(value).catch(signOutFailed);
    return { status: 204, headers: { "set-cookie": setCookie(parts.secure, "") } };
  },
);

/** To sign out twice is harmless, so whoever is told this tries again either way. */
function signOutFailed(error: unknown): never {
  throw notTakenFor(error);
}

export const sessionRoutes: readonly AnyRoute[] = [postSession, deleteSession];
