/** A person's word on what holds a pool: the hold of a restored database (rule 28), or the fleet brake (rule 11). */
import { letBrakeGo } from "../fleet/brake.ts";
import { letGo } from "./hold.ts";
import type { Asker, Request } from "../inputs.ts";
import { watch } from "../fleet/reach.ts";
import { answer, emit, type Turn } from "../turn.ts";

/** Where nothing is held nothing changes, and the answer says so. */
export function releasePool(turn: Turn, ticket: number, request: Extract<Request, { readonly kind: "releasePool" }>): void {
  const changed = request.what === "restored" ? letGo(turn, request) : releaseBrake(turn, request);
  answer(turn, ticket, { kind: "released", changed });
}

function releaseBrake(turn: Turn, asker: Asker): boolean {
  if (!letBrakeGo(turn)) return false;
  emit(turn, "poolReleased", { asker, data: { what: "brake", why: "somebody let the brake go" } });
  // Each was to be looked at when the brake would have let go by itself.
  for (const worker of turn.state.workers.values()) if (worker.row.state === "unreachable") watch(turn.state, worker);
  return true;
}
