/** What an error of node:sqlite means. Codes: https://sqlite.org/rescode.html; the low byte is the primary one. */

const nothingSaid = 1;
const busy = 5;
const readOnly = 8;
const ioError = 10;
const corrupt = 11;
const full = 13;
const notADatabase = 26;

/** No room for the shared memory of a WAL: the same full disk under another name. */
const ioErrorShmSize = 4_874;

/** Another process has the lock. */
export function isBusy(error: unknown): boolean {
  return primary(error) === busy;
}

/**
 * Of a file that is being opened: it is no database, or a broken one. Read-only is what SQLite calls a header with a wrong
 * version (whoever asks has opened the file for writing before), and a damaged table of tables is an error without a kind.
 */
export function isMalformed(error: unknown): boolean {
  return [nothingSaid, corrupt, notADatabase, readOnly].includes(primary(error) ?? 0);
}

/** The disk, or the quota, is full; also where the kernel says so under the name of an I/O error. */
export function isFull(error: unknown): boolean {
  return (
    primary(error) === full ||
    ["ENOSPC", "EDQUOT"].includes(String((error as { code?: unknown } | null)?.code)) ||
    codeOf(error) === ioErrorShmSize ||
    (primary(error) === ioError && /no space|quota/i.test(String(error)))
  );
}

function primary(error: unknown): number | undefined {
  const code = codeOf(error);
  return code === undefined ? undefined : code & 0xff;
}

function codeOf(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === "number" ? code : undefined;
}
