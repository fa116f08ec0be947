/** Interesting happenings. A batch of seeds in which one of them never came was no test of what it stands for. */
export const happenings = [
  "a second manager took over",
  "two managers took themselves for the leader at once",
  "a deposed leader's commit changed nothing",
  "a commit whose answer was lost was found done",
  "a commit landed late and changed nothing",
  "a lease was given back",
  "a batch was refused for good and salvaged",
  "a request was set aside",
  "a start was not taken and asked again",
  "an outcome was unknown and asked again",
  "a repeated request gave the same run",
  "a worker was declared lost",
  "the fleet brake was pulled",
  "the fleet brake let go",
  "an operator let the fleet brake go",
  "workers were lost after the fleet brake had held its time",
  "a late end changed nothing",
  "an inventory proved that a start never came",
  "a run was tried again after it failed",
  "a timeout ended an attempt",
  "a report came again",
  "reports came with a gap and were sent again",
  "an orphan of a restarted agent was adopted",
  "an attempt died with its agent's life and was placed again",
  "an attempt was lost by a reboot",
  "a stop of an unknown attempt was noted",
  "a start of a known attempt was answered",
  "a start was refused as stale",
  "an agent noticed that it was away",
  "a lower term was not obeyed",
  "a command of another epoch was passed over",
  "a hello was refused",
  "a duplicate worker id was refused",
  "a restored copy was refused",
  "a worker began a new journal",
  "a fence fired",
  "a deaf process was killed",
  "a run ran again after a loss",
  "a run was given up",
  "a journal was full",
  "a removed worker came back",
  "output was sent again",
] as const;
export type Happening = (typeof happenings)[number];

export class Counters {
  readonly counts: Record<Happening, number> = Object.fromEntries(happenings.map((name) => [name, 0])) as Record<
    Happening,
    number
  >;

  happened(name: Happening): void {
    this.counts[name] += 1;
  }
}
