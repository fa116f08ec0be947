/** The process of the simulated workers. */
import { answer } from "../kit/answering.ts";
import { newTally, SimulatedWorker, type SimulatedOptions, type Tally } from "./simulated.ts";

export interface ConnectAsk {
  readonly workers: readonly SimulatedOptions[];
  /** Connects at most this many at a time. */
  readonly atOnce: number;
}

const tally: Tally = newTally();

async function connectAll({ workers, atOnce }: ConnectAsk): Promise<void> {
  const left = workers.map((options) => new SimulatedWorker(options, tally));
  const lane = async (): Promise<void> => {
    for (let worker = left.pop(); worker; worker = left.pop()) await worker.connect();
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

answer({ connect: connectAll, tally: () => tally });
