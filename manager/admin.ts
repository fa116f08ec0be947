import { addToken, listNames, openCredentials } from "../broker/credentials.ts";

/** The name under which everything that the first token causes is stored. */
export const adminName = "admin";

/**
 * Makes sure that somebody can ask for something. With a preset (`MUSTER_ADMIN_TOKEN`) that very token works from now on;
 * otherwise a token is made when there is none at all. Returns the text of a token that was made here, to be shown once:
 * only its hash is kept.
 */
export function ensureAdminToken(file: string, preset: string | null): string | undefined {
  if (preset !== null) {
    if (openCredentials(file).verifyToken(preset) === undefined) addToken(file, { name: adminName, token: preset });
    return undefined;
  }
  return listNames(file).tokens.length > 0 ? undefined : addToken(file, { name: adminName });
}
