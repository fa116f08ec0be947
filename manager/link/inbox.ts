/** The manager's door: every uplink is parsed here once. What does not parse is counted and named, never fatal (rule 16). */
import { isDeeperThan, mayBeDeeperThan } from "../../schema/json-depth.ts";
import { wireLimits } from "../../schema/limits.ts";
import {
  heartbeat,
  hello,
  logs,
  protocolVersion,
  report,
  reportsEnvelope,
  status,
  type Logs,
  type Report,
  type Reports,
} from "../../schema/messages.ts";
import type { UplinkKind } from "../../schema/topics.ts";
import type { Input } from "../control/inputs.ts";
import { plainReport } from "./plain-report.ts";

export type Parsed =
  | { readonly kind: "input"; readonly input: Extract<Input, { readonly workerId: string }>; readonly dropped: number }
  | { readonly kind: "logs"; readonly message: Logs }
  | { readonly kind: "unreadable"; readonly why: string };

const strictUtf8 = new TextDecoder("utf-8", { fatal: true });
const tooDeep = `it is nested deeper than ${wireLimits.jsonDepth} levels`;

/** At most this much of an unreadable item is kept for the operator. */
const rawBytes = 65_536;

/** Parses one uplink of `workerId`. Never throws. */
export function parseUplink(workerId: string, kind: UplinkKind, payload: Uint8Array): Parsed {
  let json: unknown;
  let mayBeDeep: boolean;
  try {
    const text = strictUtf8.decode(payload);
    mayBeDeep = mayBeDeeperThan(wireLimits.jsonDepth, text);
    json = JSON.parse(text);
    // In UTF-8 only an escape can be half of a surrogate pair.
    if (text.includes("\\u")) json = wellFormed(json, wireLimits.jsonDepth + envelopeLevels);
  } catch (error) {
    return { kind: "unreadable", why: `it is not JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
  // Reports are looked at one by one: a whole message that is set aside would come again for ever.
  if (kind !== "reports" && mayBeDeep && isDeeperThan(wireLimits.jsonDepth, json)) return { kind: "unreadable", why: tooDeep };
  const version = (json as { v?: unknown } | null)?.v;
  if (kind !== "status" && typeof version === "number" && version !== protocolVersion) {
    return { kind: "unreadable", why: `it speaks protocol version ${version}, this manager ${protocolVersion}` };
  }
  switch (kind) {
    case "hello":
      return wrap(hello.safeParse(json), (message) => ({ kind: "hello", workerId, message }));
    case "heartbeat":
      return wrap(heartbeat.safeParse(json), (message) => ({ kind: "heartbeat", workerId, message }));
    case "status":
      return wrap(status.safeParse(json), (message) => ({ kind: "status", workerId, message }));
    case "reports":
      return parseReports(workerId, json);
    case "logs": {
      const parsed = logs.safeParse(json);
      return parsed.success
        ? { kind: "logs", message: parsed.data }
        : { kind: "unreadable", why: issueSentence(parsed.error.issues) };
    }
  }
}

/** Around an item: the message and its list. */
const envelopeLevels = 2;

/**
 * The value with U+FFFD in place of lone surrogates, as the databases would keep it: what the core has in memory and what is
 * stored must be the same, and an end is worth more than one character of its text. Deeper than `levels` it stays as it is.
 */
function wellFormed(value: unknown, levels: number): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (typeof value !== "object" || value === null || levels === 0) return value;
  if (Array.isArray(value)) return value.map((one) => wellFormed(one, levels - 1));
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key.toWellFormed(), wellFormed(one, levels - 1)]));
}

type Issues = readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];
type Result<T> =
  | { readonly success: true; readonly data: T }
  | { readonly success: false; readonly error: { readonly issues: Issues } };

function wrap<T>(parsed: Result<T>, make: (data: T) => Extract<Input, { readonly workerId: string }>): Parsed {
  if (!parsed.success) return { kind: "unreadable", why: issueSentence(parsed.error.issues) };
  return { kind: "input", input: make(parsed.data), dropped: 0 };
}

function issueSentence(issues: Issues): string {
  return issues
    .slice(0, 3)
    .map((issue) => `${issue.path.map(String).join(".") || "message"}: ${issue.message}`)
    .join("; ");
}

/**
 * Items one by one: an unreadable item that carries a seq goes on as such, so that the core can set it aside and apply its
 * neighbours; one without a seq can only be dropped and counted.
 */
function parseReports(workerId: string, json: unknown): Parsed {
  const envelope = reportsEnvelope.safeParse(json);
  if (!envelope.success) return { kind: "unreadable", why: issueSentence(envelope.error.issues) };
  const items: Report[] = [];
  const unreadable: Reports["unreadable"][number][] = [];
  let dropped = 0;
  for (const raw of envelope.data.items) {
    const read = readItem(raw);
    if ("item" in read) {
      items.push(read.item);
      continue;
    }
    const known = knownParts(raw);
    if (known) unreadable.push({ ...known, ...read });
    else dropped += 1;
  }
  const { epoch, connection, mono, journal } = envelope.data;
  return {
    kind: "input",
    input: { kind: "reports", workerId, message: { epoch, connection, mono, journal, items, unreadable } },
    dropped,
  };
}

function readItem(raw: unknown): { readonly item: Report } | { readonly why: string; readonly raw: string } {
  const plain = plainReport(raw);
  if (plain) return { item: plain };
  if (isDeeperThan(wireLimits.jsonDepth, raw)) return { why: tooDeep, raw: "" };
  const parsed = report.safeParse(raw);
  if (parsed.success) return { item: parsed.data };
  return { why: issueSentence(parsed.error.issues), raw: JSON.stringify(raw).slice(0, rawBytes).toWellFormed() };
}

const namedParts = report
  .pick({ seq: true })
  .extend({ attempt: report.shape.attempt.optional(), kind: report.shape.kind.optional() });

function knownParts(raw: unknown): { readonly seq: number; readonly attempt?: string; readonly kind?: string } | undefined {
  const whole = namedParts.safeParse(raw);
  const parsed = whole.success ? whole : namedParts.pick({ seq: true }).safeParse(raw);
  if (!parsed.success) return undefined;
  const { seq, attempt, kind } = parsed.data as { seq: number; attempt?: string | undefined; kind?: string | undefined };
  return { seq, ...(attempt === undefined ? {} : { attempt }), ...(kind === undefined ? {} : { kind }) };
}
