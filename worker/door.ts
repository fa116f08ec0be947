/** Reads what comes down the wire, once: after this everything is typed, and nothing unreadable goes any further (rule 16). */
import { commandsEnvelope, downItem, protocolVersion, type Commands, type DownItem } from "../schema/messages.ts";
import { wireLimits } from "../schema/limits.ts";

export type CommandsRead =
  | {
      readonly read: "commands";
      readonly message: Commands;
      /** One sentence for each item that was set aside. */ readonly unreadable: readonly string[];
    }
  | { readonly read: "unreadable"; readonly why: string }
  /** A version of the protocol that this agent does not speak yet. */
  | { readonly read: "future"; readonly version: number };

/** Reads one `…/down/commands` message. Items are read one by one: a bad one is set aside and its neighbours live. Never throws. */
export function readCommands(payload: Uint8Array): CommandsRead {
  if (payload.byteLength > wireLimits.payloadBytes) {
    return { read: "unreadable", why: `${payload.byteLength} bytes, at most ${wireLimits.payloadBytes} are allowed` };
  }
  const json = readJson(payload);
  if ("why" in json) return { read: "unreadable", why: json.why };
  const version = (json.value as { v?: unknown } | null)?.v;
  if (typeof version === "number" && Number.isInteger(version) && version > protocolVersion) return { read: "future", version };
  const envelope = commandsEnvelope.safeParse(json.value);
  if (!envelope.success) return { read: "unreadable", why: firstIssue(envelope.error) };
  const items: DownItem[] = [];
  const unreadable: string[] = [];
  for (const [index, raw] of envelope.data.items.entries()) {
    const item = readItem(raw);
    if ("why" in item) unreadable.push(`item ${index}: ${item.why}`);
    else items.push(item.value);
  }
  const { v, term, asOf } = envelope.data;
  return { read: "commands", message: { v, term, asOf, items }, unreadable };
}

type Read<T> = { readonly value: T } | { readonly why: string };

function readJson(payload: Uint8Array): Read<unknown> {
  try {
    return { value: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload)) };
  } catch (error) {
    return { why: `not JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function readItem(raw: unknown): Read<DownItem> {
  try {
    const parsed = downItem.safeParse(raw);
    return parsed.success ? { value: parsed.data } : { why: firstIssue(parsed.error) };
  } catch (error) {
    // JSON that is nested thousands of levels deep exhausts the stack of whoever walks it.
    return { why: error instanceof Error ? error.message : String(error) };
  }
}

function firstIssue(error: {
  readonly issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
}): string {
  const issue = error.issues[0];
  if (!issue) return "does not fit the schema";
  return issue.path.length > 0 ? `${issue.path.map(String).join(".")}: ${issue.message}` : issue.message;
}
