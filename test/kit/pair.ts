import { onTestFailed } from "vitest";
import { HandManager } from "./hand-manager.ts";
import { WorkerProcess, type Agent } from "./worker-process.ts";

export interface Pair extends AsyncDisposable {
  readonly manager: HandManager;
  readonly worker: WorkerProcess;
  readonly agent: Agent;
}

/** A manager played by hand and one worker process that is synced with it; what the worker said is printed when the test fails. */
export async function workerPair(env: Readonly<Record<string, string>> = {}, args: readonly string[] = []): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const manager = stack.use(await HandManager.start("w"));
  const worker = stack.use(new WorkerProcess("w", manager.port, env));
  onTestFailed(() => console.log(worker.output.slice(-5_000)));
  const agent = worker.start(args);
  await manager.synced();
  const kept = stack.move();
  return { manager, worker, agent, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
