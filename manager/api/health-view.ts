/** What is well and what is not, in sentences. */
import * as z from "zod";
import type { ApiDeps } from "./deps.ts";
import { instant } from "./views.ts";

type HealthDeps = Pick<ApiDeps, "plane" | "clock" | "log" | "version">;

const status = z.enum(["pass", "warn", "fail"]);

export const healthView = z.strictObject({
  status,
  version: z.string(),
  checks: z.array(z.strictObject({ name: z.string(), status, sentence: z.string() })),
  alarms: z.array(z.strictObject({ kind: z.string(), since: z.iso.datetime(), sentence: z.string() })),
});
export type HealthView = z.infer<typeof healthView>;

/**
 * Makes what `/health` says. Looking may cost something and anybody may ask, so all who ask within `keptMs` are given the same
 * answer.
 */
export function makeHealth(deps: HealthDeps, keptMs: number): () => Promise<HealthView> {
  let kept: { readonly at: number; readonly view: Promise<HealthView> } | undefined;
  return () => {
    const at = deps.clock.now().mono;
    if (!kept || at - kept.at >= keptMs) kept = { at, view: readHealth(deps) };
    return kept.view;
  };
}

async function readHealth(deps: HealthDeps): Promise<HealthView> {
  const checks = await deps.plane.checks().catch((error: unknown) => {
    deps.log.error({ err: error }, "the checks of /health failed");
    return [{ name: "checks", status: "fail" as const, sentence: "the checks themselves failed; the log has the reason" }];
  });
  const standing = await deps.plane.alarms();
  const alarms = standing.map((alarm) => ({ kind: alarm.kind, since: instant(alarm.since), sentence: alarm.sentence }));
  const worst = checks.some((check) => check.status === "fail")
    ? "fail"
    : checks.some((check) => check.status === "warn") || alarms.length > 0
      ? "warn"
      : "pass";
  return {
    status: worst,
    version: deps.version,
    checks: checks.map(({ name, status: s, sentence }) => ({ name, status: s, sentence })),
    alarms,
  };
}
