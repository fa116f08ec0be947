import { isTerminal, runStates, type RunState } from "../../schema/run.ts";

/** States of runs that a new leader holds in memory: neither queued nor terminal. */
export const heldStates: readonly RunState[] = runStates.filter((state) => state !== "queued" && !isTerminal(state));

/** States of runs that have not ended, in the order in which `liveRunsOfTask` finds them. */
export const unendedStates: readonly RunState[] = runStates.filter((state) => !isTerminal(state));

export const terminalStates: readonly RunState[] = runStates.filter(isTerminal);
