/** What waits for the agent's core, in order of arrival. */
import type { AgentInput } from "./agent/types.ts";
import { workerLimits } from "../schema/limits.ts";

export type Waiting =
  | { readonly from: "host"; readonly input: AgentInput }
  /** As it came from the network; it is read in the shell's own turn, never in the network's. */
  | { readonly from: "network"; readonly payload: Uint8Array };

export interface Inbox {
  /** From this host itself: bounded by the number of attempts, never dropped. */
  put(input: AgentInput): void;
  /** From the network: false when a bound is reached and it was dropped. */
  offer(payload: Uint8Array): boolean;
  /** Takes at most `most` of what waits. */
  take(most: number): readonly Waiting[];
  readonly size: number;
}

/** An empty inbox. `wake` is called whenever something was added. */
export function createInbox(wake: () => void): Inbox {
  let waiting: Waiting[] = [];
  let messages = 0;
  let bytes = 0;
  return {
    put(input) {
      waiting.push({ from: "host", input });
      wake();
    },
    offer(payload) {
      if (messages >= workerLimits.inboxMessages || bytes + payload.byteLength > workerLimits.inboxBytes) return false;
      messages += 1;
      bytes += payload.byteLength;
      waiting.push({ from: "network", payload });
      wake();
      return true;
    },
    take(most) {
      const taken = waiting.slice(0, most);
      waiting = waiting.slice(most);
      for (const one of taken) {
        if (one.from !== "network") continue;
        messages -= 1;
        bytes -= one.payload.byteLength;
      }
      return taken;
    },
    get size() {
      return waiting.length;
    },
  };
}
