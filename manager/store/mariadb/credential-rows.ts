import type { CredentialsContent } from "../../../broker/credentials-content.ts";
import { rowCodec, type RowCodec, type Value } from "../rows.ts";
import { clients, tokens } from "../tables/mariadb-credentials.ts";

type Token = CredentialsContent["tokens"][number];
type Client = CredentialsContent["clients"][number];

interface Statement {
  readonly text: string;
  readonly values: readonly Value[];
}

/** How the two tables of credentials are read and written. */
export function codecsOfCredentials(): { readonly tokens: RowCodec<Token>; readonly clients: RowCodec<Client> } {
  return { tokens: rowCodec(tokens), clients: rowCodec(clients) };
}

const codecs = codecsOfCredentials();

/** What makes the second content of the first: a statement for each row that is gone, new or another. */
export function differences(before: CredentialsContent, after: CredentialsContent): Statement[] {
  return [
    ...changed(codecs.tokens, before.tokens, after.tokens, "hash"),
    ...changed(codecs.clients, before.clients, after.clients, "username"),
  ];
}

function changed<R extends object>(
  codec: RowCodec<R>,
  before: readonly R[],
  after: readonly R[],
  key: keyof R & string,
): Statement[] {
  const keyOf = (row: R): string => String(row[key]);
  const old = new Map(before.map((row) => [keyOf(row), row]));
  const kept = new Set(after.map(keyOf));
  const statements: Statement[] = before
    .filter((row) => !kept.has(keyOf(row)))
    .map((row) => ({ text: `DELETE FROM ${codec.table} WHERE \`${key}\` = ?`, values: [keyOf(row)] }));
  for (const row of after) {
    const known = old.get(keyOf(row));
    if (!known) statements.push({ text: codec.insert, values: codec.encode(row) });
    else if (JSON.stringify(codec.encode(known)) !== JSON.stringify(codec.encode(row))) {
      const update = codec.update(row, { [key]: row[key] } as Partial<R>);
      if (update) statements.push(update);
    }
  }
  return statements;
}
