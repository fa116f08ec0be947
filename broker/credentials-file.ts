/** `credentials.json`: read whole, replaced whole by a rename, under a lock that two writers cannot hold at once. */
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { brokerLimits } from "../schema/limits.ts";
import { checkedContent, credentialsShape, type CredentialsChange, type CredentialsContent } from "./credentials-content.ts";
import { replaceFile } from "./replace-file.ts";

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
  return parseCredentials(file, text);
}

/** What the text of a file holds. Throws a sentence that names the file when it is damaged. */
export function parseCredentials(file: string, text: string): CredentialsContent {
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

/** Reads, changes and replaces the file under its lock. What `change` answers is returned. */
export function changeCredentials<T>(file: string, change: CredentialsChange<T>): T {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  return locked(file, () => {
    const before = readCredentials(file);
    const [content, result] = change(before);
    if (content === before) return result;
    const checked = checkedContent(file, content);
    replaceFile(`the credentials file ${file}`, file, `${JSON.stringify(checked, undefined, 2)}\n`);
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
