import type { CredentialsChange, CredentialsContent } from "./credentials-content.ts";
import { changeCredentials, readCredentials } from "./credentials-file.ts";

/** Where credentials are kept: a file for one manager, tables for several. */
export interface CredentialBook {
  /** Names it in sentences, such as `the credentials file /var/lib/muster/credentials.json`. */
  readonly where: string;
  /** Rejects with a sentence when it cannot be read or understood. */
  read(): Promise<CredentialsContent>;
  /** Makes one change, durable when it resolves; nobody else changes anything in between. What `change` answers is returned. */
  change<T>(change: CredentialsChange<T>): Promise<T>;
}

/** The book in a file. */
export function fileBook(file: string): CredentialBook {
  return {
    where: `the credentials file ${file}`,
    read: async () => readCredentials(file),
    change: async (change) => changeCredentials(file, change),
  };
}
