/** What is counted of each answer of the API. */
import { Counter, Histogram, type Count, type Family, type Spread } from "../../schema/kit/metrics/families.ts";

/** One answer; `pattern` is the route's, never the path that was asked for. */
export interface Answered {
  readonly method: string;
  readonly pattern: string;
  readonly status: number;
  readonly durationMs: number;
  /** An event stream or a followed log: it lasts as long as somebody reads, which is no measure of anything. */
  readonly streamed: boolean;
}

export interface HttpCounts {
  readonly families: readonly Family[];
  readonly answered: (answer: Answered) => void;
}

const seconds = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

export function countHttp(): HttpCounts {
  const requests = new Counter(
    {
      name: "muster_http_requests_total",
      help: "HTTP requests that were answered, by the route's pattern (none: no route), method and status.",
    },
    ["route", "method", "code"],
  );
  const durations = new Histogram(
    {
      name: "muster_http_request_duration_seconds",
      help: "From a request until its answer, streams left out; GET of a run waits as long as `waitSeconds` says.",
    },
    seconds,
    ["route", "method"],
  );
  const known = new Map<string, { readonly count: Count; readonly spread: Spread }>();
  const cellsOf = ({ pattern, method, status }: Answered): { readonly count: Count; readonly spread: Spread } => {
    const key = `${status} ${method} ${pattern}`;
    const found = known.get(key);
    if (found) return found;
    // A client may invent methods; those that nobody knows are one.
    const word = methods.has(method) ? method : "other";
    const cells = { count: requests.cell(pattern, word, String(status)), spread: durations.cell(pattern, word) };
    if (word === method) known.set(key, cells);
    return cells;
  };
  return {
    families: [requests, durations],
    answered(answer) {
      const { count, spread } = cellsOf(answer);
      count.add();
      if (!answer.streamed) spread.observe(answer.durationMs / 1_000);
    },
  };
}
