/** The parts of Muster that a world is made of, from the tree itself or from a copy of it with a bug planted. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export interface Product {
  readonly create: typeof import("../../manager/control/create.ts");
  readonly due: typeof import("../../manager/control/due.ts");
  readonly turn: typeof import("../../manager/engine/turn.ts");
  readonly release: typeof import("../../manager/engine/release.ts");
  readonly inbox: typeof import("../../manager/link/inbox.ts");
  readonly roundRobin: typeof import("../../manager/control/placement/round-robin.ts");
  readonly memory: typeof import("../../manager/store/memory.ts");
  readonly agent: typeof import("../../worker/agent/agent.ts");
  readonly task: typeof import("../../schema/task.ts");
}

const files: Readonly<Record<keyof Product, string>> = {
  create: "manager/control/create.ts",
  due: "manager/control/due.ts",
  turn: "manager/engine/turn.ts",
  release: "manager/engine/release.ts",
  inbox: "manager/link/inbox.ts",
  roundRobin: "manager/control/placement/round-robin.ts",
  memory: "manager/store/memory.ts",
  agent: "worker/agent/agent.ts",
  task: "schema/task.ts",
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
