/** Errors as clients see them: RFC 9457, `application/problem+json`. */
import * as z from "zod";
import { fieldMessage } from "../../schema/field-message.ts";
import { requestLimits } from "../../schema/limits.ts";
import { ProblemError, problem, problems, type FieldError, type Problem, type ProblemCode } from "../../schema/problem.ts";
import type { Reply } from "./route.ts";

/** The body of every error, and of every item that failed in `POST /runs`. */
export const problemView = z.strictObject({
  type: z.string().describe("a URI that names the kind of problem; the last part is `code`"),
  title: z.string(),
  status: z.int(),
  detail: z.string().describe("what is wrong in this case and what to do"),
  code: z.enum(Object.keys(problems) as [ProblemCode, ...ProblemCode[]]),
  errors: z
    .array(
      z.strictObject({ at: z.string().describe("a JSON pointer into the body, or a parameter's name"), message: z.string() }),
    )
    .optional(),
  requestId: z.string().optional().describe("the same as the X-Request-Id header; the manager's log names it"),
  retryAfterSeconds: z.number().optional(),
  idempotencyKey: z.string().optional().describe("with outcome-unknown: repeat the request with this Idempotency-Key"),
  idempotencyKeys: z.array(z.string()).optional().describe("with outcome-unknown of `POST /runs`: one key per item, in order"),
});
export type ProblemView = z.infer<typeof problemView>;

/** What only the API says of a problem. */
export interface ApiProblem extends Problem {
  /** With an outcome-unknown of many starts: the key to repeat each item with. */
  readonly idempotencyKeys?: readonly string[];
  /** With method-not-allowed: the methods that are. */
  readonly allow?: string;
}

/** The problem as its body. */
export function viewOfProblem(p: ApiProblem, requestId?: string): ProblemView {
  const { status, title } = problems[p.code];
  return {
    type: `urn:muster:problem:${p.code}`,
    title,
    status,
    detail: p.detail,
    code: p.code,
    ...(p.errors ? { errors: [...p.errors] } : {}),
    ...(requestId === undefined ? {} : { requestId }),
    ...(p.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: p.retryAfterSeconds }),
    ...(p.idempotencyKey === undefined ? {} : { idempotencyKey: p.idempotencyKey }),
    ...(p.idempotencyKeys === undefined ? {} : { idempotencyKeys: [...p.idempotencyKeys] }),
  };
}

/** The answer for an error; what is not a `ProblemError` is a bug of ours, of which nothing is told but the request's id. */
export function replyOfError(error: unknown, requestId: string): Reply & { readonly code: ProblemCode } {
  const p: ApiProblem =
    error instanceof ProblemError
      ? error.problem
      : { code: "internal", detail: `Muster failed; its log has the reason under the request id ${requestId}` };
  const view = viewOfProblem(p, requestId);
  return {
    status: view.status,
    code: p.code,
    body: JSON.stringify(view),
    headers: {
      "content-type": "application/problem+json",
      ...(p.code === "unauthorized" ? { "www-authenticate": 'Bearer realm="muster"' } : {}),
      ...(p.allow === undefined ? {} : { allow: p.allow }),
      ...(view.status === 503 || view.status === 429
        ? { "retry-after": String(Math.max(1, Math.ceil(p.retryAfterSeconds ?? 1))) }
        : {}),
    },
  };
}

/**
 * Every wrong field of a failed parse, at most `fieldErrors`. `root` is the pointer or name that the paths begin under;
 * parameters are named without a slash.
 */
export function fieldErrors(error: z.ZodError, kind: "body" | "parameter"): readonly FieldError[] {
  const found: FieldError[] = [];
  for (const issue of error.issues) {
    const path = issue.path.map(String);
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) found.push({ at: nameOf([...path, key], kind), message: issue.message });
    } else if (issue.code === "invalid_key") {
      found.push({ at: nameOf(path, kind), message: issue.issues.map((inner) => inner.message).join("; ") });
    } else found.push({ at: nameOf(path, kind), message: issue.message });
  }
  return found.slice(0, requestLimits.fieldErrors);
}

function nameOf(path: readonly string[], kind: "body" | "parameter"): string {
  if (kind === "parameter") return path.join(".");
  return path.map((part) => `/${part.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

/** Parses with the schema; throws 400 that names every wrong field. */
export function parsed<T>(schema: z.ZodType<T>, value: unknown, kind: "body" | "parameter"): T {
  const result = schema.safeParse(value, { error: fieldMessage });
  if (result.success) return result.data;
  const errors = fieldErrors(result.error, kind);
  const first = errors[0];
  const where = first?.at ? `${first.at}: ` : "";
  const more = result.error.issues.length > 1 ? ` (and ${result.error.issues.length - 1} more)` : "";
  throw problem(
    "malformed",
    `${kind === "body" ? "the body does" : "the parameters do"} not fit: ${where}${first?.message ?? "see errors"}${more}`,
    { errors },
  );
}
