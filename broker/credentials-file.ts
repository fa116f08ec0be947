/** `credentials.json`: read whole, replaced whole by a rename, under a lock that two writers cannot hold at once. */
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as z from "zod";
import { id } from "../schema/ids.ts";
import { brokerLimits } from "../schema/limits.ts";
import { replaceFile } from "./replace-file.ts";
import { clientHashPattern, tokenHashPattern } from "./secrets.ts";

const tokenEntry = z.strictObject({ name: id, hash: z.string().regex(tokenHashPattern) });
const clientEntry = z.strictObject({
  username: id,
  hash: z.string().regex(clientHashPattern),
  pool: id,
  role: z.enum(["worker", "manager"]),
});
const credentialsShape = z.strictObject({
  tokens: z.array(tokenEntry).max(brokerLimits.tokens),
  clients: z.array(clientEntry).max(brokerLimits.clients),
});

/** The file's content: hashes only, so that whoever reads it can check a secret but not show one. */
export type CredentialsContent = z.infer<typeof credentialsShape>;

/** Which file it was: another inode, time or size means that somebody replaced it. */
export interface FileStamp {
  readonly inode: bigint;
  readonly changedNs: bigint;
  readonly sizeBytes: bigint;
}

/** Undefined when there is no such file; throws a sentence when it cannot be looked at. */
export function stampOf(file: string): FileStamp | undefined {
  try {
    const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
    return stat && { inode: stat.ino, changedNs: stat.mtimeNs, sizeBytes: stat.size };
  } catch (error) {
    throw new Error(`the credentials file ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** A file that is not there holds nobody; one that cannot be read or understood throws a sentence, never an empty set. */
export function readCredentials(file: string): CredentialsContent {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { tokens: [], clients: [] };
    throw new Error(`the credentials file ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  try {
    const parsed = credentialsShape.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    throw new Error(`${issue?.path.join(".") || "it"}: ${issue?.message}`);
  } catch (error) {
    throw new Error(
      `the credentials file ${file} is damaged (${(error as Error).message}); put a backup back, or remove it and make the tokens and the workers' passwords anew`,
      { cause: error },
    );
  }
}

let changes = 0;

/** How often this process has changed a file of credentials. */
export function changesMade(): number {
  return changes;
}

/** Reads, changes and replaces the file under its lock. What `change` returns besides the content is returned. */
export function changeCredentials<T>(file: string, change: (content: CredentialsContent) => readonly [CredentialsContent, T]): T {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  return locked(file, () => {
    const [content, result] = change(readCredentials(file));
    const checked = credentialsShape.safeParse(content);
    if (!checked.success) {
      const [issue] = checked.error.issues;
      throw new Error(`not written to ${file}: ${issue?.path.join(".")}: ${issue?.message}`);
    }
    replaceFile(`the credentials file ${file}`, file, `${JSON.stringify(checked.data, undefined, 2)}\n`);
    changes += 1;
    return result;
  });
}

/** SQLite's lock on a file beside it, because the operating system frees it when its holder is killed. */
function locked<T>(file: string, act: () => T): T {
  let lock: DatabaseSync;
  try {
    lock = new DatabaseSync(`${file}.lock`, { timeout: brokerLimits.credentialsLockMs });
    lock.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    throw new Error(`the credentials file ${file} cannot be locked for writing: ${(error as Error).message}`, { cause: error });
  }
  try {
    return act();
  } finally {
    lock.close();
  }
}
