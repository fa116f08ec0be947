/** Large bodies of workers, by the ticket of one attempt: a start's content down, a result up. */
import { createHmac, timingSafeEqual } from "node:crypto";
import * as z from "zod";
import { sha256Hex } from "../../schema/digest.ts";
import { id } from "../../schema/ids.ts";
import { isDeeperThan } from "../../schema/json-depth.ts";
import { requestLimits } from "../../schema/limits.ts";
import { problem } from "../../schema/problem.ts";
import { parseTicket, ticketText, type TicketGrant } from "../../schema/ticket.ts";
import { utf8Of } from "./body.ts";
import { storeBody } from "./store-trouble.ts";
import { json, route, type AnyRoute, type Call } from "./route.ts";

type Bare = Pick<Call<unknown, unknown, unknown>, "parts" | "subject" | "header">;

const tag = "bodies";
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be 64 hex digits");
const byDigest = z.strictObject({ sha256 });
const byAttemptId = z.strictObject({ attemptId: id });

/**
 * The grant of the request's ticket. 401 when there is none, 403 unless its signature holds and its attempt has not ended:
 * a ticket that leaked is worth nothing afterwards.
 */
async function grantOf<D extends TicketGrant["direction"]>(
  call: Bare,
  direction: D,
): Promise<Extract<TicketGrant, { direction: D }>> {
  const text = /^Ticket +(\S+)$/i.exec(call.header("authorization") ?? "")?.[1];
  if (text === undefined)
    throw problem("unauthorized", "send the ticket of the attempt in the header Authorization: Ticket <ticket>");
  const ticket = parseTicket(text);
  if (!ticket || ticket.grant.direction !== direction || !(await isSigned(call, ticket.grant, ticket.signature))) {
    throw problem("forbidden", "the ticket does not hold for this");
  }
  call.subject.attemptId = ticket.grant.attempt;
  call.subject.workerId = ticket.grant.worker;
  const attempt = await call.parts.store.attempt(ticket.grant.attempt);
  if (!attempt || attempt.state === "ended" || attempt.workerId !== ticket.grant.worker)
    throw problem("forbidden", "the ticket's attempt has ended");
  return ticket.grant as Extract<TicketGrant, { direction: D }>;
}

async function isSigned(call: Bare, grant: TicketGrant, signature: string): Promise<boolean> {
  const key = await call.parts.store.secret("ticket");
  const expected = createHmac("sha256", key).update(ticketText(grant)).digest();
  const given = Buffer.from(signature, "base64url");
  return given.byteLength === expected.byteLength && timingSafeEqual(given, expected);
}

const getBody = route<{ sha256: string }, Record<never, never>, undefined>(
  {
    method: "get",
    path: "/bodies/{sha256}",
    operationId: "getBody",
    tag,
    summary: "For workers: the content of a start that is too large for a message",
    permission: "ticket",
    params: byDigest,
    replies: {
      200: { description: "JSON `{spec, env}`, the bytes of this digest", content: { "application/octet-stream": "the body" } },
    },
    problems: ["malformed", "unauthorized", "forbidden", "not-found", "not-taken"],
  },
  async (call) => {
    const grant = await grantOf(call, "get");
    if (grant.sha256 !== call.params.sha256) throw problem("forbidden", "the ticket is for another body");
    const bytes = await call.parts.store.getBody(grant.sha256);
    if (!bytes) throw problem("not-found", `no body with the digest ${grant.sha256}`);
    return { status: 200, body: new Uint8Array(bytes), headers: { "content-type": "application/octet-stream" } };
  },
);

const resultView = z.strictObject({ sha256, size: z.int() });

const putResult = route<{ attemptId: string }, Record<never, never>, Uint8Array>(
  {
    method: "put",
    path: "/attempts/{attemptId}/result",
    operationId: "putResult",
    tag,
    summary: "For workers: a result that is too large for a report",
    permission: "ticket",
    params: byAttemptId,
    body: {
      kind: "bytes",
      types: ["application/json", "application/octet-stream"],
      maxBytes: requestLimits.resultBytes,
      description: "the result, JSON",
    },
    replies: {
      200: {
        description: "stored; the report of the end names it",
        content: { "application/json": resultView },
        example: { sha256: "0".repeat(64), size: 70_000 },
      },
    },
    problems: ["malformed", "unauthorized", "forbidden", "too-large", "unsupported-type", "not-taken"],
  },
  async ({ parts, body }) => {
    mustBeJson(body);
    const digest = sha256Hex(body);
    await storeBody(parts.store, digest, body);
    return json(200, { sha256: digest, size: body.byteLength });
  },
  // Before a byte is read: without a good ticket nobody makes this manager hold 10 MiB.
  async (call) => {
    const grant = await grantOf(call, "put");
    if (grant.attempt !== call.params.attemptId) throw problem("forbidden", "the ticket is for another attempt");
    return { maxBytes: grant.maxBytes };
  },
);

/** A result goes out again inside other JSON as it is, so what is not JSON may not come in. */
function mustBeJson(bytes: Uint8Array): void {
  const text = utf8Of(bytes);
  if (text === undefined) throw problem("malformed", "the result is not valid UTF-8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw Object.assign(problem("malformed", `the result is not JSON: ${(cause as Error).message}`), { cause });
  }
  if (isDeeperThan(requestLimits.jsonDepth, value))
    throw problem("malformed", `the result is nested deeper than ${requestLimits.jsonDepth} levels`);
}

export const bodyRoutes: readonly AnyRoute[] = [getBody, putResult];
