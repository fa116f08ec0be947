/** The public API, as the demo uses it: nothing here knows more than docs at `/docs` say. */
import type { ClientConfig } from "../config.ts";

export interface Api {
  readonly url: string;
  /** One request; the answer's JSON. Throws the problem's own sentence when it is no 2xx. */
  json(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>;
  /** Uploads text. */
  upload(path: string, text: string): Promise<void>;
  /** The text of an answer, piece by piece as it arrives. */
  follow(path: string, onText: (text: string) => void): Promise<void>;
}

async function sentenceOf(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const problem = JSON.parse(text) as { readonly title?: unknown; readonly detail?: unknown };
    return `${response.status}: ${String(problem.title)}: ${String(problem.detail)}`;
  } catch {
    return `${response.status}: ${text.slice(0, 500)}`;
  }
}

export function apiOf({ url, token }: ClientConfig): Api {
  const call = async (
    method: string,
    path: string,
    body: string | undefined,
    headers: Record<string, string>,
  ): Promise<Response> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...headers },
      ...(body === undefined ? {} : { body }),
    }).catch((error: unknown) => {
      // What fetch throws says only that it failed; the socket's own error is its cause.
      const { cause } = error as { readonly cause?: { readonly code?: unknown } };
      throw new Error(`${url} does not answer (${String(cause?.code ?? error)}); is Muster running there?`, { cause: error });
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${await sentenceOf(response)}`);
    return response;
  };
  return {
    url,
    json: async (method, path, body) => {
      const headers: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
      const response = await call(method, path, body === undefined ? undefined : JSON.stringify(body), headers);
      const text = await response.text();
      return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
    },
    upload: async (path, text) => {
      const response = await call("PUT", path, text, { "content-type": "text/plain" });
      await response.body?.cancel();
    },
    follow: async (path, onText) => {
      const response = await call("GET", path, undefined, { accept: "text/plain" });
      const decoder = new TextDecoder();
      for await (const bytes of response.body ?? []) onText(decoder.decode(bytes, { stream: true }));
    },
  };
}
