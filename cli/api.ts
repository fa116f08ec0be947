/** The public API as a client sees it, each request bounded in time. */
import type * as z from "zod";
import { doctorLimits } from "../schema/limits/doctor.ts";

/** Nobody answers at all: what the check of the API itself says. */
export class ApiAway extends Error {}

/** The token is not known, or may not. */
export class TokenRefused extends Error {}

export class Api {
  readonly url: string;
  readonly #token: string | null;
  readonly #signal: AbortSignal;

  constructor(url: string, token: string | null, signal: AbortSignal) {
    this.url = url;
    this.#token = token;
    this.#signal = signal;
  }

  get hasToken(): boolean {
    return this.#token !== null;
  }

  /** The answer as the schema has it; a status that is not in `statuses` is an error with a sentence. */
  async get<T extends z.ZodType>(path: string, schema: T, statuses: readonly number[] = [200]): Promise<z.infer<T>> {
    const response = await this.#fetch(path);
    const text = await response.text();
    if (response.status === 401 || response.status === 403)
      throw new TokenRefused(`${this.url} refuses the token${titleIn(text)}`);
    if (!statuses.includes(response.status)) throw new Error(`${this.url}${path} answers ${response.status}${titleIn(text)}`);
    const parsed = schema.safeParse(jsonIn(text));
    if (parsed.success) return parsed.data;
    throw new Error(`${this.url}${path} answers what this release does not understand; is it a manager of Muster's?`);
  }

  async #fetch(path: string): Promise<Response> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(doctorLimits.answerMs)]);
    const headers: Record<string, string> = { accept: "application/json" };
    if (this.#token !== null) headers["authorization"] = `Bearer ${this.#token}`;
    try {
      return await fetch(`${this.url}${path}`, { headers, signal, redirect: "error" });
    } catch (error) {
      throw new ApiAway(`nobody answers at ${this.url}: ${whyOf(error)}`, { cause: error });
    }
  }

  /** The items of a list, at most `pages` pages of 200; `whole` is false when there are more. */
  async list<T>(
    path: string,
    page: z.ZodType<{ readonly items: readonly T[]; readonly next: string | null }>,
    pages: number = doctorLimits.pages,
  ): Promise<{ readonly items: readonly T[]; readonly whole: boolean }> {
    const items: T[] = [];
    let cursor: string | null = null;
    for (let at = 0; at < pages; at += 1) {
      const more: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const found: { readonly items: readonly T[]; readonly next: string | null } = await this.get(`${path}${more}`, page);
      items.push(...found.items);
      cursor = found.next;
      if (cursor === null) return { items, whole: true };
    }
    return { items, whole: false };
  }
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function titleIn(text: string): string {
  const problem = jsonIn(text) as { readonly detail?: unknown; readonly title?: unknown } | undefined;
  const said = problem?.detail ?? problem?.title;
  return typeof said === "string" ? `: ${said}` : "";
}

/** undici hides the reason one level down. */
function whyOf(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") return `no answer within ${doctorLimits.answerMs / 1_000} s`;
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error && cause.message !== "") return cause.message;
  return error instanceof Error ? error.message : String(error);
}
