/** The workers: who is not heard, and whose clock is off. */
import type { Api } from "../api.ts";
import { doctorLimits } from "../../schema/limits/doctor.ts";
import { fail, pass, skip, someOf, warn, type Check, type Finding } from "./finding.ts";
import { askingCheck } from "./unasked.ts";
import { workers, type Worker } from "./views.ts";

export function workersCheck(api: (signal: AbortSignal) => Api): Check {
  return askingCheck("workers", "workers and their clocks were not looked at", api, async (asked) => {
    const { items, whole } = await asked.list("/workers?limit=200", workers);
    const here = items.filter(({ state }) => state !== "removed");
    const heard = here.filter(({ state }) => state === "online" || state === "draining" || state === "drained");
    const shown = whole ? `${here.length}` : `the first ${here.length}`;
    return [pass("workers", `${heard.length} of ${shown} workers are heard`), ...silent(here), ...dying(heard), ...clocks(heard)];
  });
}

function silent(all: readonly Worker[]): Finding[] {
  const findings: Finding[] = [];
  const lost = all.filter(({ state }) => state === "lost").map(({ id }) => id);
  const unreachable = all.filter(({ state }) => state === "unreachable").map(({ id }) => id);
  const never = all.filter(({ state }) => state === "neverSeen").map(({ id }) => id);
  if (lost.length > 0)
    findings.push(
      fail(
        "workers:lost",
        `${lost.length} workers are lost: ${someOf(lost)}`,
        "On its host `npm run worker -- --health` says what is wrong. One that will not come back: DELETE /workers/<id>?stop=true.",
      ),
    );
  if (unreachable.length > 0)
    findings.push(
      warn(
        "workers:unreachable",
        `nobody hears ${someOf(unreachable)}`,
        "Look at their hosts, and at what lies between them and the broker.",
      ),
    );
  if (never.length > 0)
    findings.push(
      warn(
        "workers:neverSeen",
        `${someOf(never)} never introduced itself wholly`,
        "Look at its log: it may be of another release.",
      ),
    );
  return findings;
}

function dying(heard: readonly Worker[]): Finding[] {
  const names = heard.filter(({ survives }) => survives === false).map(({ id }) => id);
  if (names.length === 0) return [];
  return [
    warn(
      "workers:survives",
      `what runs on ${someOf(names)} ends with its agent`,
      "See docs/operations.md, As a service (KillMode=process); in a container it cannot be otherwise.",
    ),
  ];
}

/** Never more than a warning: nothing that Muster decides hangs on a worker's wall clock. */
function clocks(heard: readonly Worker[]): Finding[] {
  const known = heard.flatMap(({ id, clockAheadMs }) => (clockAheadMs ? [{ id, ms: offBy(clockAheadMs) }] : []));
  const off = known
    .filter(({ ms }) => Math.abs(ms) >= doctorLimits.clockSkewMs)
    .map(({ id, ms }) => `${id} is ${ms > 0 ? "ahead" : "behind"} by ${Math.round(Math.abs(ms) / 1_000)} s`);
  if (off.length > 0)
    return [
      warn(
        "workers:clock",
        `clocks differ from the manager's: ${someOf(off)}`,
        "Set them (chrony, systemd-timesyncd). Only the times that are shown hang on them.",
      ),
    ];
  return known.length === 0
    ? [skip("workers:clock", "no worker that is heard has run anything since its manager leads, which would show its clock")]
    : [pass("workers:clock", `the clocks of ${known.length} workers agree with the manager's`)];
}

/** How far off a clock is at the least, ms, ahead positive; 0 while it may be right. */
export function offBy({ least, most }: NonNullable<Worker["clockAheadMs"]>): number {
  if (least > 0) return least;
  return most < 0 ? most : 0;
}
