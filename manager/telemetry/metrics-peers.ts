/** What this manager asked other managers, and they it. */
import { reading, type Family } from "../../schema/kit/metrics/families.ts";
import type { PeerDoor } from "../peers/door.ts";
import type { Forwarder } from "../peers/forward.ts";

export interface PeerParts {
  readonly forwarder: Pick<Forwarder, "counts" | "inFlight">;
  readonly door: Pick<PeerDoor, "figures">;
}

/** Without other managers on the database there is nothing to show, but the metrics are there. */
export function peerFamilies(peers: PeerParts | undefined): readonly Family[] {
  return [
    reading(
      {
        name: "muster_forwarded_requests_total",
        help: "Requests for pools that another manager leads, by what this manager could say: the leader's answer, not taken, or outcome unknown.",
        type: "counter",
        labels: ["pool", "outcome"],
      },
      (put) => {
        for (const [pool, counts] of peers?.forwarder.counts ?? []) {
          put(counts.answered, pool, "answered");
          put(counts.notTaken, pool, "notTaken");
          put(counts.outcomeUnknown, pool, "outcomeUnknown");
        }
      },
    ),
    reading(
      {
        name: "muster_forwarded_requests_in_flight",
        help: "Requests that are on their way to a leader.",
        type: "gauge",
        labels: [],
      },
      (put) => put(peers?.forwarder.inFlight ?? 0),
    ),
    reading(
      {
        name: "muster_peer_questions_total",
        help: "Questions of other managers: taken, or refused because their seal did not hold or they were played again.",
        type: "counter",
        labels: ["what"],
      },
      (put) => {
        put(peers?.door.figures.taken ?? 0, "taken");
        put(peers?.door.figures.refused ?? 0, "refused");
      },
    ),
  ];
}
