/** What the store relies on in the server, and whether it holds: sentences for `/health` that say what to set (rules 17, 19, 21). */
import { patience } from "../../../schema/kit/backoff.ts";
import { mariadbLimits } from "../../../schema/limits/mariadb.ts";
import type { Store } from "../store.ts";
import type { Connections } from "./connection.ts";

type Check = Awaited<ReturnType<Store["check"]>>[number];

/** The server's settings by name, as a session of ours sees them. */
export type Settings = Readonly<Record<string, string>>;

/** From here on sessions can bound idle transactions that wrote, and the collation and the block are there as they are used. */
const oldest = [10, 6] as const;

const names = [
  "version",
  "innodb_flush_log_at_trx_commit",
  "log_bin",
  "sync_binlog",
  "innodb_doublewrite",
  "sql_mode",
  "collation_connection",
  "max_allowed_packet",
  "read_only",
  "idle_write_transaction_timeout",
  "innodb_lock_wait_timeout",
] as const;

/** Asks the server. A server that does not answer, or not soon, is a check that fails, and no error. */
export async function checkMariadb(connections: Connections, withinMs: number = mariadbLimits.checkMs): Promise<Check[]> {
  const over = new AbortController();
  const late = patience(withinMs, over.signal).then((): Check[] => [
    { name: "database", ok: false, sentence: `MariaDB at ${connections.address.shown} does not answer within ${withinMs} ms.` },
  ]);
  const checks = await Promise.race([ask(connections), late]);
  over.abort();
  return checks;
}

async function ask(connections: Connections): Promise<Check[]> {
  const { shown } = connections.address;
  try {
    const rows = await connections.read(`SELECT ${names.map((name) => `@@${name}`).join(", ")}`);
    const [onWriter = []] = await connections.session(
      async (session) => (await session.query("SELECT @@idle_write_transaction_timeout, @@innodb_lock_wait_timeout")).rows,
    );
    const settings = Object.fromEntries(names.map((name, at) => [name, String(rows[0]?.[at])]));
    const ofWriter = { idle_write_transaction_timeout: String(onWriter[0]), innodb_lock_wait_timeout: String(onWriter[1]) };
    const version = settings["version"] ?? "";
    return [
      { name: "database", ok: true, sentence: `MariaDB ${version} answers at ${shown}.` },
      ...judge({ ...settings, ...ofWriter }),
    ];
  } catch (error) {
    return [{ name: "database", ok: false, sentence: error instanceof Error ? error.message : String(error) }];
  }
}

/** One check for each thing relied on; those that hold say so in few words. */
export function judge(settings: Settings): Check[] {
  return [version(settings), durability(settings), sessions(settings), size(settings), writable(settings)];
}

function version({ version: text = "" }: Settings): Check {
  const [major = 0, minor = 0] = text.split(".").map((part) => Number.parseInt(part, 10));
  const ok = /mariadb/i.test(text) && (major > oldest[0] || (major === oldest[0] && minor >= oldest[1]));
  return check("version", ok, "The server's version is known to work.", [
    `The server is ${text}; Muster is made for MariaDB ${oldest.join(".")} or newer.`,
  ]);
}

function durability(settings: Settings): Check {
  const wrong: string[] = [];
  const flush = settings["innodb_flush_log_at_trx_commit"];
  if (flush !== "1")
    wrong.push(`innodb_flush_log_at_trx_commit is ${flush}: a power cut may lose what was answered; set it to 1.`);
  // With a binary log it is the binary log that decides at recovery which prepared transactions are kept.
  if (isOn(settings["log_bin"]) && settings["sync_binlog"] !== "1") {
    wrong.push(
      `the binary log is on and sync_binlog is ${settings["sync_binlog"]}: a power cut may roll back what was answered; set it to 1.`,
    );
  }
  if (!isOn(settings["innodb_doublewrite"]))
    wrong.push("innodb_doublewrite is off: a power cut may leave half-written pages; set it to ON.");
  return check(
    "durability",
    wrong.length === 0,
    "What is committed survives a power cut (innodb_flush_log_at_trx_commit=1).",
    wrong,
  );
}

function sessions(settings: Settings): Check {
  const wrong: string[] = [];
  const mode = settings["sql_mode"] ?? "";
  if (!/STRICT_ALL_TABLES/.test(mode) || /NO_BACKSLASH_ESCAPES|ANSI_QUOTES|ORACLE/.test(mode))
    wrong.push(`sql_mode is ${mode}: something between here and the server changes the settings of sessions.`);
  if (settings["collation_connection"] !== "utf8mb4_nopad_bin")
    wrong.push(
      `collation_connection is ${settings["collation_connection"]}, and ids would be folded; it must stay utf8mb4_nopad_bin.`,
    );
  const bounds = [
    ["idle_write_transaction_timeout", mariadbLimits.idleWriteTransactionSeconds],
    ["innodb_lock_wait_timeout", mariadbLimits.lockWaitSeconds],
  ] as const;
  for (const [name, seconds] of bounds) {
    if (settings[name] !== String(seconds))
      wrong.push(`${name} is ${settings[name]}, and a manager that stopped could hold the lease for longer than ${seconds} s.`);
  }
  return check("sessions", wrong.length === 0, "Sessions are strict, tell ids apart, and hold no lock for long.", wrong);
}

function size(settings: Settings): Check {
  const bytes = Number(settings["max_allowed_packet"]);
  return check("max_allowed_packet", bytes >= mariadbLimits.maxAllowedPacketBytes, "Statements may be as large as they get.", [
    `max_allowed_packet is ${bytes}; set it to at least ${mariadbLimits.maxAllowedPacketBytes}, or large requests are refused.`,
  ]);
}

function writable(settings: Settings): Check {
  return check("read_only", !isOn(settings["read_only"]), "The server takes writes.", [
    "The server is read-only: it may be a replica. Set read_only=OFF, or give the address of the server that takes writes.",
  ]);
}

function isOn(value: string | undefined): boolean {
  return value === "1" || value === "ON";
}

function check(name: string, ok: boolean, well: string, wrong: readonly string[]): Check {
  return { name, ok, sentence: ok ? well : wrong.join(" ") };
}
