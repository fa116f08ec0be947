import { join } from "node:path";
import type { CredentialBook } from "../../../broker/credential-book.ts";
import { mariadbLimits } from "../../../schema/limits/mariadb.ts";
import { openConnections, type Connections } from "./connection.ts";
import { mariadbBook, takeOverFile } from "./credentials.ts";
import { migrate } from "./migrate.ts";

/**
 * The credentials alone, for a command that runs beside the managers; the tables are made when there are none yet. Rejects with a
 * sentence when the server does not answer soon.
 */
export async function openMariadbBook(
  url: string,
  dataDir: string,
  say: (sentence: string) => void,
): Promise<CredentialBook & AsyncDisposable> {
  const connections = await openConnections(url, { signal: AbortSignal.timeout(mariadbLimits.commandMs) });
  try {
    await migrate(connections, undefined);
    await takeOver(connections, dataDir, ({ file, movedTo }, text) => say(`${text}: ${file}, now ${movedTo ?? "where it was"}`));
  } catch (error) {
    await connections[Symbol.asyncDispose]();
    throw error;
  }
  return { ...mariadbBook(connections), [Symbol.asyncDispose]: () => connections[Symbol.asyncDispose]() };
}

/** Takes over the credentials in the folder, if there are any, and tells of it. */
export async function takeOver(
  connections: Connections,
  dataDir: string,
  tell: (fields: { file: string; movedTo: string | null; tokens: number; clients: number; known: number }, text: string) => void,
): Promise<void> {
  const file = join(dataDir, "credentials.json");
  const taken = await takeOverFile(connections, file);
  if (taken) tell({ file, ...taken }, "credentials of a file were taken over into the database; the file is not read any more");
}
