/** Decides from what was recorded whether the promises held: one sentence for each that did not. Pure. */
import type { Row, Witnessed } from "./evidence.ts";
import type { Start } from "./starts.ts";

const terminal: ReadonlySet<string> = new Set(["succeeded", "failed", "timedOut", "stopped", "lost"]);

/** The most sentences of one kind: a thousand say no more than the first few and their number. */
const mostOfAKind = 5;

/** Each run that is known to have been accepted is in the database, has ended, and its end is what its process witnessed. */
export function judgeRuns(accepted: Iterable<string>, rows: readonly Row[], witnessed: readonly Witnessed[]): string[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const lost = [...new Set(accepted)]
    .filter((id) => !byId.has(id))
    .map((id) => `run ${id} was accepted and is not in the database`);
  const stuck = rows.filter(({ state }) => !terminal.has(state)).map(({ id, state }) => `run ${id} is still ${state}`);
  return [...few(lost), ...few(stuck), ...judgeProcesses(rows, witnessed)];
}

/** At most one process for each attempt, ever, and one for each run of these tasks; ends as the processes themselves wrote them. */
function judgeProcesses(rows: readonly Row[], witnessed: readonly Witnessed[]): string[] {
  const begins = countBy(
    witnessed.filter(({ what }) => what === "begin"),
    ({ run }) => run,
  );
  const codes = new Map(witnessed.filter(({ what }) => what === "end").map(({ run, code }) => [run, code]));
  const known = new Set(rows.map(({ id }) => id));
  const doubled: string[] = [];
  const wrong: string[] = [];
  for (const [run, times] of begins) {
    if (times > 1) doubled.push(`run ${run} was started ${times} times`);
    if (!known.has(run)) doubled.push(`run ${run} was started and is not in the database`);
  }
  for (const { id, end } of rows) {
    const code = codes.get(id);
    if (end === null) continue;
    if (end.how === "exited" && code !== end.code)
      wrong.push(`run ${id} is said to have exited with ${end.code}, its process wrote ${code ?? "nothing"}`);
    if (end.how !== "exited" && code !== undefined)
      wrong.push(`run ${id} is said to have ${endText(end)}, its process exited with ${code}`);
    if (end.how === "exited" && !begins.has(id)) wrong.push(`run ${id} is said to have exited and no process began`);
  }
  return [...few(doubled), ...few(wrong)];
}

/** What a sentence says of an end. */
export function endText(end: NonNullable<Row["end"]>): string {
  return `${end.how}${end.why === undefined ? "" : ` (${end.why})`}${end.by === undefined ? "" : ` by ${end.by}`}`;
}

/**
 * Each answer that a client was given, held against the database (rule 20): a 202 names the one run of its key; a start of which
 * every answer was `not-taken` never exists; one whose outcome was unknown exists once at the most, and once for certain after
 * its repetition was accepted.
 */
export function judgeAnswers(starts: readonly Start[], rows: readonly Row[]): string[] {
  const made = new Map<string, Row[]>();
  for (const row of rows) made.set(row.call, [...(made.get(row.call) ?? []), row]);
  const sentences = starts.flatMap((start) => judgeStart(start, made.get(start.call) ?? []));
  const calls = new Set(starts.map(({ call }) => call));
  const foreign = rows.filter(({ call }) => !calls.has(call)).map(({ id }) => `run ${id} was made and nobody asked for it`);
  return [...few(sentences), ...few(foreign)];
}

function judgeStart({ call, key, told, gaveUp }: Start, made: readonly Row[]): string[] {
  const found: string[] = [];
  const named = new Set(told.filter(({ status }) => status === 202).map(({ run }) => run));
  const history = told.map(({ status, code }) => (status === 0 ? "no answer" : `${status} ${code}`.trim())).join(", ");
  if (named.size > 1) found.push(`start ${call} was told of ${named.size} runs for one key (${history})`);
  if (made.length > 1) found.push(`start ${call} made ${made.length} runs (${history})`);
  for (const run of named)
    if (!made.some(({ id }) => id === run))
      found.push(`start ${call} was told 202 of run ${run}, which does not exist (${history})`);
  const other = told.find(({ status, code }) => status !== 202 && status !== 503 && status !== 0 && code !== "in-flight");
  if (other) found.push(`start ${call} was answered ${other.status} ${other.code} (${history})`);
  const wrongKey = told.find((one) => one.key !== undefined && one.key !== key);
  if (wrongKey) found.push(`start ${call} was told to repeat with a key that is not its own: ${wrongKey.key}`);
  if (gaveUp && made.length > 0 && told.every(({ code }) => code === "not-taken"))
    found.push(`start ${call} was told not-taken and made run ${made[0]?.id} (${history})`);
  if (!gaveUp && named.size === 0) found.push(`start ${call} was never accepted (${history.slice(-300)})`);
  return found;
}

function few(sentences: readonly string[]): string[] {
  if (sentences.length <= mostOfAKind) return [...sentences];
  return [...sentences.slice(0, mostOfAKind), `… and ${sentences.length - mostOfAKind} more like these`];
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}
