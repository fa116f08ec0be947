/** What a route is: its definition (which becomes openapi.yaml) and its handler in one object. */
import type * as z from "zod";
import type { ProblemCode } from "../../schema/problem.ts";
import type { ApiParts } from "./deps.ts";
import type { RequestSpan } from "../telemetry/tracing-http.ts";
import type { Streamed } from "./streams.ts";

/**
 * What a caller must be allowed to do. `open`: no token. `ticket`: the ticket of one attempt (schema/ticket.ts).
 * A route without one cannot be written; a request that no route covers is refused.
 */
export type Permission =
  | "open"
  | "ticket"
  | "session"
  | "tasks:read"
  | "tasks:write"
  | "runs:read"
  | "runs:start"
  | "runs:stop"
  | "workers:read"
  | "workers:write"
  | "pools:read"
  | "pools:write"
  | "events:read"
  | "metrics:read";

export type Method = "get" | "post" | "put" | "patch" | "delete";

/** Ids that the access log names. */
export interface Subject {
  taskId?: string;
  runId?: string;
  workerId?: string;
  attemptId?: string;
}

/** One request, checked: whatever a handler reads has passed its schema. */
export interface Call<P, Q, B> {
  readonly parts: ApiParts;
  readonly request: Request;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  /** The name of the token that asks; empty on open and ticket routes. */
  readonly by: string;
  readonly subject: Subject;
  /** With tracing on. */
  readonly span: RequestSpan | undefined;
  header(name: string): string | undefined;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  /** Opened only when the request is not a HEAD. */
  readonly stream?: () => Streamed;
}

/** A body of JSON (strict: unknown keys are refused) or of raw bytes. */
export type BodySpec<B> =
  | {
      readonly kind: "json";
      readonly schema: z.ZodType<B>;
      /** How the document shows it, where the checking schema cannot be shown (a transform). */
      readonly shown?: z.ZodType;
      /** Absent bodies count as `{}`. */
      readonly optional: boolean;
      readonly types: readonly string[];
      readonly example: unknown;
    }
  | {
      readonly kind: "bytes";
      readonly types: readonly string[];
      readonly maxBytes: number;
      readonly description: string;
      readonly as?: B;
    };

export interface ReplySpec {
  readonly description: string;
  /** Media type → schema; an absent content is an empty body. A string is the description of bytes or text. */
  readonly content?: Readonly<Record<string, z.ZodType | string>>;
  readonly example?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RouteSpec<P, Q, B> {
  readonly method: Method;
  /** With `{name}` for parameters. */
  readonly path: string;
  readonly operationId: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly permission: Permission;
  readonly params?: z.ZodObject & z.ZodType<P>;
  readonly query?: z.ZodObject & z.ZodType<Q>;
  readonly headers?: Readonly<Record<string, { readonly description: string; readonly schema: z.ZodType }>>;
  readonly body?: BodySpec<B>;
  readonly replies: Readonly<Record<number, ReplySpec>>;
  /** Beyond those that every route has. */
  readonly problems: readonly ProblemCode[];
}

/** Methods and not fields, because only a method's parameter may be narrower than that of `AnyRoute`. */
export interface Route<P, Q, B> {
  readonly spec: RouteSpec<P, Q, B>;
  handle(call: Call<P, Q, B>): Promise<Reply> | Reply;
  /** Runs before the body is read; throws, or may bound the body further. */
  guard?(call: Call<P, Q, unknown>): Promise<{ readonly maxBytes?: number }>;
}

/** Any route: its three types are known to its own handler only. */
export type AnyRoute = Route<unknown, unknown, unknown>;

/** Ties a definition to its handler, so that the handler's types come from the schemas. */
export function route<P = Record<never, never>, Q = Record<never, never>, B = undefined>(
  spec: RouteSpec<P, Q, B>,
  handle: Route<P, Q, B>["handle"],
  guard?: NonNullable<Route<P, Q, B>["guard"]>,
): Route<P, Q, B> {
  return guard ? { spec, handle, guard } : { spec, handle };
}

/** A JSON answer. */
export function json(status: number, value: unknown, headers?: Readonly<Record<string, string>>): Reply {
  return { status, body: JSON.stringify(value), headers: { "content-type": "application/json", ...headers } };
}
