/** The parts of Muster that a world is made of, from the tree itself or from a copy of it with a bug planted. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export interface Product {
  readonly engine: typeof import("../../manager/engine/engine.ts");
  readonly inbox: typeof import("../../manager/link/inbox.ts");
  readonly outbox: typeof import("../../manager/link/outbox.ts");
  readonly intake: typeof import("../../manager/link/log-intake.ts");
  readonly roundRobin: typeof import("../../manager/control/placement/round-robin.ts");
  readonly view: typeof import("../../manager/control/view.ts");
  readonly store: typeof import("../../manager/store/store.ts");
  readonly memory: typeof import("../../manager/store/memory.ts");
  readonly logs: typeof import("../../manager/store/memory-logs.ts");
  readonly agent: typeof import("../../worker/agent/agent.ts");
  readonly act: typeof import("../../worker/act.ts");
  readonly journal: typeof import("../../worker/journal.ts");
  readonly shell: typeof import("../../worker/shell.ts");
  readonly task: typeof import("../../schema/task.ts");
  // What worlds of their own (test/simulation/explore) step by hand.
  readonly create: typeof import("../../manager/control/create.ts");
  readonly due: typeof import("../../manager/control/due.ts");
  readonly turn: typeof import("../../manager/engine/turn.ts");
  readonly release: typeof import("../../manager/engine/release.ts");
}

const files: Readonly<Record<keyof Product, string>> = {
  engine: "manager/engine/engine.ts",
  inbox: "manager/link/inbox.ts",
  outbox: "manager/link/outbox.ts",
  intake: "manager/link/log-intake.ts",
  roundRobin: "manager/control/placement/round-robin.ts",
  view: "manager/control/view.ts",
  store: "manager/store/store.ts",
  memory: "manager/store/memory.ts",
  logs: "manager/store/memory-logs.ts",
  agent: "worker/agent/agent.ts",
  act: "worker/act.ts",
  journal: "worker/journal.ts",
  shell: "worker/shell.ts",
  task: "schema/task.ts",
  create: "manager/control/create.ts",
  due: "manager/control/due.ts",
  turn: "manager/engine/turn.ts",
  release: "manager/engine/release.ts",
};

/** Loads the parts from the tree at `root` (absolute). */
export async function loadProduct(root: string): Promise<Product> {
  const modules = await Promise.all(
    Object.entries(files).map(
      async ([name, file]) => [name, await import(/* @vite-ignore */ pathToFileURL(join(root, file)).href)] as const,
    ),
  );
  return Object.fromEntries(modules) as unknown as Product;
}
