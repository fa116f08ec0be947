/** Credentials in a file: who may use the API and the broker. Only hashes of tokens and passwords are kept. */
import { checkAgainst, lookupOf, type Credentials, type Lookup } from "./credentials-check.ts";
import {
  mosquittoPasswdOf,
  namesIn,
  withClient,
  withoutClient,
  withoutTokens,
  withToken,
  type CredentialNames,
  type NewClient,
  type NewToken,
} from "./credentials-content.ts";
import { changeCredentials, changesMade, readCredentials, stampOf, type FileStamp } from "./credentials-file.ts";

interface Loaded extends Lookup {
  readonly stamp: FileStamp | undefined;
}

/**
 * The credentials in a file, read again whenever it was replaced. A file that is not there yet holds nobody. Throws a
 * sentence that names the file when it is damaged, now or at a later use: a revoked token must not live on in memory.
 */
export function openCredentials(file: string): Credentials {
  let loaded = load(file, undefined);
  /** Changes of this process's own when the file was last looked at, in this turn of the event loop; undefined in a new turn. */
  let lookedAt: number | undefined;

  // One look for everything that one turn brings: thousands of requests a second share it.
  return checkAgainst(() => {
    if (lookedAt === changesMade()) return loaded;
    const stamp = stampOf(file);
    if (!sameFile(stamp, loaded.stamp)) loaded = load(file, loaded);
    lookedAt = changesMade();
    setImmediate(() => (lookedAt = undefined));
    return loaded;
  });
}

function load(file: string, before: Loaded | undefined): Loaded {
  // The stamp is taken first: a file that is replaced in between is then read again at the next use.
  const stamp = stampOf(file);
  if (!stamp && before?.stamp)
    throw new Error(`the credentials file ${file} is gone; put a backup back, or start again to make new ones`);
  return { stamp, ...lookupOf(readCredentials(file)) };
}

function sameFile(one: FileStamp | undefined, other: FileStamp | undefined): boolean {
  return one?.inode === other?.inode && one?.changedNs === other?.changedNs && one?.sizeBytes === other?.sizeBytes;
}

/** See `withToken`. */
export function addToken(file: string, token: NewToken): string {
  return changeCredentials(file, withToken(token));
}

/** See `withoutTokens`. */
export function revokeTokens(file: string, name: string, keep?: string): number {
  return changeCredentials(file, withoutTokens(name, keep));
}

/** See `withClient`. */
export function addClient(file: string, client: NewClient): string {
  return changeCredentials(file, withClient(client));
}

/** See `withoutClient`. */
export function removeClient(file: string, username: string): boolean {
  return changeCredentials(file, withoutClient(username));
}

export function listNames(file: string): CredentialNames {
  return namesIn(readCredentials(file));
}

export function mosquittoPasswd(file: string): string {
  return mosquittoPasswdOf(readCredentials(file));
}
