/**
 * Every error that a client can meet, as RFC 9457 problems: code → HTTP status → title. `detail` says what is wrong in
 * this case and what to do. Code is stable, text is not.
 */
export const problems = {
  malformed: { status: 400, title: "The request is malformed" },
  unauthorized: { status: 401, title: "A token is needed" },
  forbidden: { status: 403, title: "The token may not do this" },
  "not-found": { status: 404, title: "There is no such thing" },
  "method-not-allowed": { status: 405, title: "The method is not allowed here" },
  "not-acceptable": { status: 406, title: "None of the accepted types can be given" },
  "name-taken": { status: 409, title: "The name is taken" },
  "live-runs": { status: 409, title: "It has live runs" },
  "in-flight": { status: 409, title: "A request with this key is in flight" },
  "version-changed": { status: 412, title: "It has changed meanwhile" },
  "too-large": { status: 413, title: "The body is too large" },
  "unsupported-type": { status: 415, title: "The content type is not supported" },
  impossible: { status: 422, title: "The request is well-formed but impossible" },
  "key-reused": { status: 422, title: "The Idempotency-Key was used with another body" },
  "too-many": { status: 429, title: "Too many" },
  internal: { status: 500, title: "Muster failed" },
  "not-taken": { status: 503, title: "Not taken; try again" },
  "outcome-unknown": { status: 503, title: "The outcome is unknown; repeat with the same Idempotency-Key" },
} as const satisfies Record<string, { readonly status: number; readonly title: string }>;

export type ProblemCode = keyof typeof problems;

/** One field that is wrong: `at` is a JSON pointer or a parameter's name. */
export interface FieldError {
  readonly at: string;
  readonly message: string;
}

export interface Problem {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly errors?: readonly FieldError[];
  readonly retryAfterSeconds?: number;
  /** With `outcome-unknown`: the key to repeat the request with. */
  readonly idempotencyKey?: string;
}

/** What code throws when a client is to be told; every other error is a bug and a 500. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly problem: Problem;
  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.detail, options);
    this.problem = problem;
  }
}

/** A client is to be told: `throw problem("not-found", "no task with id x")`. */
export function problem(code: ProblemCode, detail: string, more: Omit<Problem, "code" | "detail"> = {}): ProblemError {
  return new ProblemError({ code, detail, ...more });
}
