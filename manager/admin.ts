import type { CredentialBook } from "../broker/credential-book.ts";
import { withToken, type CredentialsContent } from "../broker/credentials-content.ts";
import { hashToken } from "../broker/secrets.ts";

/** The name under which everything that the first token causes is stored. */
export const adminName = "admin";

/**
 * Makes sure that somebody can ask for something. With a preset (`MUSTER_ADMIN_TOKEN`) that very token works from now on;
 * otherwise a token is made when there is none at all, by one of several managers that start at once. Returns the text of a
 * token that was made here, to be shown once: only its hash is kept.
 */
export async function ensureAdminToken(book: CredentialBook, preset: string | null): Promise<string | undefined> {
  const missing = (tokens: CredentialsContent["tokens"]): boolean =>
    preset === null ? tokens.length === 0 : !tokens.some(({ hash }) => hash === hashToken(preset));
  // Mostly there is nothing to do, also on a database that takes no writes now.
  if (!missing((await book.read()).tokens)) return undefined;
  const make = withToken({ name: adminName, token: preset ?? undefined });
  const made = await book.change((content) => (missing(content.tokens) ? make(content) : [content, undefined]));
  return preset === null ? made : undefined;
}
