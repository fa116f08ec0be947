/** What the manager says of itself. */
import type { Api } from "../api.ts";
import { commandOf } from "../../schema/command.ts";
import { fail, pass, warn, type Check, type Finding } from "./finding.ts";
import { health } from "./views.ts";

const runbook = "See docs/operations.md";

export function healthCheck(api: (signal: AbortSignal) => Api): Check {
  return {
    name: "api",
    run: async (signal) => {
      const asked = api(signal);
      let said;
      try {
        said = await asked.get("/health", health, [200, 503]);
      } catch (error) {
        const advice = `Does the manager run (${commandOf("manager")}), and is this its address (MUSTER_URL)? Workers go on meanwhile, and nothing is lost.`;
        return [fail("api", error instanceof Error ? error.message : String(error), advice)];
      }
      const findings: Finding[] = [pass("api", `the manager answers at ${asked.url}`)];
      for (const { name, status, sentence } of said.checks) {
        if (status === "fail") findings.push(fail(`health:${name}`, sentence, `${runbook}, Health: what fails.`));
        if (status === "warn") findings.push(warn(`health:${name}`, sentence, `${runbook}, Health: what fails.`));
      }
      for (const { kind, since, sentence } of said.alarms)
        findings.push(warn(`alarm:${kind}`, `since ${since}: ${sentence}`, `${runbook}, Alarm: ${kind}.`));
      return findings;
    },
  };
}
