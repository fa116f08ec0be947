/** Checks that ask the API for what only a token may read, and what is said when it does not answer them. */
import { type Api, ApiAway, TokenRefused } from "../api.ts";
import { fail, skip, type Check, type Finding } from "./finding.ts";

/** Makes `look`, which is about `what`. What keeps all such checks from being made is a failure once, in the check that says it. */
export function askingCheck(
  name: string,
  what: string,
  api: (signal: AbortSignal) => Api,
  look: (api: Api) => Promise<readonly Finding[]>,
): Check {
  return {
    name,
    run: async (signal) => {
      const asked = api(signal);
      if (!asked.hasToken) return [skip(name, `${what}: there is no token to ask with (MUSTER_TOKEN)`)];
      try {
        return await look(asked);
      } catch (error) {
        // The check of the API says why, as a failure.
        if (error instanceof ApiAway) return [skip(name, `${what}: ${error.message}`)];
        const why = error instanceof Error ? error.message : String(error);
        return [fail(name, `${what}: ${why}`, adviceFor(error))];
      }
    },
  };
}

function adviceFor(error: unknown): string {
  if (error instanceof TokenRefused)
    return "Give MUSTER_TOKEN a token that the manager knows. `npm run token` makes a new one and revokes the one before.";
  return "Ask again when the manager answers; what else is said here may tell why it does not.";
}
