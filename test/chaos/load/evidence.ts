/** What is known of a scenario's runs from outside of Muster: the lines that the processes wrote, and the rows of the database. */
import { readFileSync } from "node:fs";
import type { MariadbServer } from "../../kit/mariadb.ts";

/** One line of the witness file: a process that began, or that is about to end with this exit code. */
export interface Witnessed {
  readonly what: "begin" | "end";
  readonly run: string;
  readonly attempt: string;
  readonly call: string;
  /** The exit code of an `end`. */
  readonly code: number;
}

/** A run as the database has it, whatever the API says. */
export interface Row {
  readonly id: string;
  /** The parameter `call`; empty when it has none. */
  readonly call: string;
  readonly state: string;
  readonly end: { readonly how: string; readonly code?: number; readonly by?: string; readonly why?: string } | null;
  readonly attempts: number;
}

/**
 * A script for sh that writes a line when it begins, works, and writes another before it exits with `$PARAM_code`. Each line is
 * one write to a file that was opened to append, so lines of processes that write at once stay whole.
 */
export function witnessScript(witness: string, work: string): string {
  const line = (what: string, code: string): string =>
    `printf '%s\\n' "${what} $MUSTER_RUN_ID $MUSTER_ATTEMPT $PARAM_call ${code}" >> '${witness}'`;
  return `${line("begin", "-1")}\n${work}\n${line("end", "$PARAM_code")}\nexit "$PARAM_code"`;
}

/** The parameters that such a script takes. */
export const witnessParams = { call: "", code: "0" } as const;

export function readWitness(file: string): Witnessed[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return []; // Nobody has written it yet.
  }
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [what = "", run = "", attempt = "", call = "", code = ""] = line.split(" ");
      if ((what !== "begin" && what !== "end") || !Number.isInteger(Number(code)) || code === "")
        throw new Error(`the witness has a line that no script wrote: ${JSON.stringify(line)}`);
      return { what, run, attempt, call, code: Number(code) };
    });
}

/** How many processes have begun so far. */
export function countBegun(file: string): number {
  return readWitness(file).filter(({ what }) => what === "begin").length;
}

/** The runs of a task as they lie in the database that `databaseUrl` names, read by the server's own root. */
export async function readRows(server: MariadbServer, databaseUrl: string, taskIds: readonly string[]): Promise<Row[]> {
  const database = new URL(databaseUrl).pathname.slice(1);
  const among = taskIds.map((id) => `'${id}'`).join(",");
  const rows: { id: string; state: string; how_ended: string | null; params: string; attempts: number }[] = await server.admin(
    `SELECT r.id, r.state, r.how_ended, r.params, COUNT(a.id) AS attempts FROM runs r LEFT JOIN attempts a ON a.run_id = r.id
     WHERE r.task_id IN (${among}) GROUP BY r.id`,
    database,
  );
  return rows.map((row) => ({
    id: row.id,
    call: (JSON.parse(row.params) as { call?: string }).call ?? "",
    state: row.state,
    end: row.how_ended === null ? null : (JSON.parse(row.how_ended) as Row["end"]),
    attempts: Number(row.attempts),
  }));
}
