/** The workers: who is not heard, and whose clock is off. */
import type { Api } from "../api.ts";
import { doctorLimits } from "../../schema/limits/doctor.ts";
import { fail, pass, skip, someOf, warn, type Check, type Finding } from "./finding.ts";
import { askingCheck } from "./unasked.ts";
import { offBy, skewOf, type Sighting } from "./skew.ts";
import { events, run, runs, workers, type Worker } from "./views.ts";

export function workersCheck(api: (signal: AbortSignal) => Api): Check {
  return askingCheck("workers", "workers and their clocks were not looked at", api, async (asked) => {
    const { items, whole } = await asked.list("/workers?limit=200", workers);
    const here = items.filter(({ state }) => state !== "removed");
    const heard = here.filter(({ state }) => state === "online" || state === "draining" || state === "drained");
    const shown = whole ? `${here.length}` : `the first ${here.length}`;
    return [
      pass("workers", `${heard.length} of ${shown} workers are heard`),
      ...silent(here),
      ...dying(heard),
      ...(await clocks(asked, heard)),
    ];
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
async function clocks(api: Api, heard: readonly Worker[]): Promise<Finding[]> {
  const looked = heard.slice(0, doctorLimits.clockWorkers);
  const off: string[] = [];
  let known = 0;
  for (const { id } of looked) {
    const skew = skewOf(await sightings(api, id));
    if (!skew) continue;
    known += 1;
    const ms = offBy(skew);
    if (Math.abs(ms) >= doctorLimits.clockSkewMs)
      off.push(`${id} is ${ms > 0 ? "ahead" : "behind"} by ${Math.round(Math.abs(ms) / 1_000)} s`);
  }
  if (off.length > 0)
    return [
      warn(
        "workers:clock",
        `clocks differ from the manager's: ${someOf(off)}`,
        "Set them (chrony, systemd-timesyncd). Only the times that are shown hang on them.",
      ),
    ];
  return known === 0
    ? [skip("workers:clock", "no worker that is heard has run anything that would show its clock")]
    : [pass("workers:clock", `the clocks of ${known} workers agree with the manager's`)];
}

async function sightings(api: Api, workerId: string): Promise<Sighting[]> {
  const newest = await api.get(`/runs?workerId=${workerId}&limit=${doctorLimits.clockRuns}`, runs);
  const found: Sighting[] = [];
  for (const { id } of newest.items) {
    const [{ attempts }, { items }] = await Promise.all([
      api.get(`/runs/${id}`, run),
      api.get(`/events?runId=${id}&kind=attemptRunning,attemptEnded&limit=200`, events),
    ]);
    for (const attempt of attempts) {
      if (attempt.workerId !== workerId || attempt.startedAt === null) continue;
      const noted = items.find(({ attemptId }) => attemptId === attempt.id);
      if (noted)
        found.push({
          sentAt: Date.parse(attempt.sentAt),
          startedAt: Date.parse(attempt.startedAt),
          notedAt: Date.parse(noted.at),
        });
    }
  }
  return found;
}
