/** Why a hello is refused, in the words that the agent prints; `newJournal`: it may come back only with a journal of its own making (rule 1). */
import { commandOf } from "../../../schema/command.ts";

export interface Refusal {
  readonly why: string;
  readonly newJournal: boolean;
}

export const refusals = {
  duplicate: {
    why: "duplicate worker id: another agent has this id, or this one has lost its journal; give it an id of its own, or remove the worker. It is taken once the worker is lost",
    newJournal: false,
  },
  clone: {
    why: "duplicate worker id: another agent speaks under this id with the same journal; one of the two is a copy of the other's folder",
    newJournal: true,
  },
  copy: {
    why: "its journal is a restored copy: it lacks reports that were applied here; it must make a new journal",
    newJournal: true,
  },
  earlierLife: {
    why: "an agent that was started later on the same journal has taken over; this one is a copy of an earlier state",
    newJournal: true,
  },
  removed: {
    why: `this worker was removed; to let it join again make a password for it (${commandOf("worker:add")}) and start its agent anew`,
    newJournal: false,
  },
  oldJournal: {
    why: "its journal was given up when the worker was lost and came back with another; it must make a new journal",
    newJournal: true,
  },
} as const satisfies Record<string, Refusal>;

/** Its id is another pool's: attempts and history hang on it there. */
export function refusedFrom(pool: string): Refusal {
  const why = `this worker id belongs to pool ${pool}, also after it was removed there; give this worker an id of its own (MUSTER_WORKER_ID)`;
  return { why, newJournal: false };
}
