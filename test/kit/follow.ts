import type { ApiClient } from "./api-client.ts";
import { until } from "./until.ts";

/** An answer that goes on: its text grows while it is read in the background. */
export interface Followed {
  readonly text: string;
  /** Waits until the text so far is as wanted. */
  until(what: string, look: (text: string) => boolean): Promise<void>;
  /** The whole text, when the server has ended it. */
  ended(): Promise<string>;
  close(): void;
}

/** Reads a stream of the API, as text or by another `accept`. Resolves when it has begun. */
export async function follow(client: ApiClient, path: string, accept = "text/plain"): Promise<Followed> {
  const leaving = new AbortController();
  const response = await fetch(`${client.url}${path}`, {
    headers: { authorization: `Bearer ${client.token}`, accept },
    signal: leaving.signal,
  });
  if (!response.ok || !response.body) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
  let text = "";
  const body = response.body.pipeThrough(new TextDecoderStream());
  const whole = (async () => {
    for await (const part of body) text += part;
    return text;
  })();
  whole.catch(() => undefined);
  return {
    get text() {
      return text;
    },
    until: async (what, look) => void (await until(what, () => look(text), 30_000)),
    ended: () => whole,
    close: () => leaving.abort(),
  };
}

/** The events of an event stream's text: their ids, kinds and data, without beats. */
export function eventsIn(text: string): { readonly id: string; readonly event: string; readonly data: any }[] {
  return text.split("\n\n").flatMap((block) => {
    const fields = new Map(
      block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
    );
    const [event, data] = [fields.get("event"), fields.get("data")];
    return event === undefined || data === undefined ? [] : [{ id: fields.get("id") ?? "", event, data: JSON.parse(data) }];
  });
}
