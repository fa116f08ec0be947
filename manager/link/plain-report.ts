import { idPattern } from "../../schema/ids.ts";
import { reportKinds, type Report } from "../../schema/messages.ts";

const kinds: ReadonlySet<unknown> = new Set(reportKinds);
const exitCodeMax = 4_294_967_295;

/**
 * The report, when it is one of the plain ones that nearly all are: accepted, running, or ended by itself, without a result.
 * Undefined for everything else, which the schema judges; a test holds the two to the same word. By hand, because the schema's
 * walk over each item cost as much as all that the core makes of it.
 */
export function plainReport(raw: unknown): Report | undefined {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return undefined;
  const item = raw as Record<string, unknown>;
  let fields = 0;
  for (const key in item) {
    if (!isPlainField(key, item[key])) return undefined;
    fields += 1;
  }
  const { seq, attempt, start, kind, at, pid, startedAt, end } = item;
  if (seq === undefined || attempt === undefined || start === undefined || kind === undefined || at === undefined)
    return undefined;
  const optional = (pid === undefined ? 0 : 1) + (startedAt === undefined ? 0 : 1) + (end === undefined ? 0 : 1);
  return fields === 5 + optional ? (raw as Report) : undefined;
}

function isPlainField(key: string, value: unknown): boolean {
  switch (key) {
    case "seq":
    case "start":
      return Number.isSafeInteger(value) && (value as number) >= 1;
    case "attempt":
      return typeof value === "string" && idPattern.test(value);
    case "kind":
      return kinds.has(value);
    case "at":
    case "startedAt":
      return Number.isFinite(value);
    case "pid":
      return Number.isSafeInteger(value);
    case "end":
      return isExit(value);
    default:
      return false;
  }
}

/** `{how: "exited", code}` and nothing else. */
function isExit(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { how, code } = value as Record<string, unknown>;
  if (how !== "exited" || !Number.isSafeInteger(code) || (code as number) < 0 || (code as number) > exitCodeMax) return false;
  for (const key in value) if (key !== "how" && key !== "code") return false;
  return true;
}
