/** The parts of Muster that are explored, from the tree itself or from a copy of it with a bug planted. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";

export interface Parts {
  readonly create: typeof import("../../../manager/control/create.ts");
  readonly due: typeof import("../../../manager/control/due.ts");
  readonly turn: typeof import("../../../manager/engine/turn.ts");
  readonly commit: typeof import("../../../manager/engine/commit.ts");
  readonly release: typeof import("../../../manager/engine/release.ts");
  readonly inbox: typeof import("../../../manager/link/inbox.ts");
  readonly memory: typeof import("../../../manager/store/memory.ts");
  readonly tables: typeof import("../../../manager/store/memory-tables.ts");
  readonly store: typeof import("../../../manager/store/store.ts");
  readonly agent: typeof import("../../../worker/agent/agent.ts");
  readonly task: typeof import("../../../schema/task.ts");
}

const files: Readonly<Record<keyof Parts, string>> = {
  create: "manager/control/create.ts",
  due: "manager/control/due.ts",
  turn: "manager/engine/turn.ts",
  commit: "manager/engine/commit.ts",
  release: "manager/engine/release.ts",
  inbox: "manager/link/inbox.ts",
  memory: "manager/store/memory.ts",
  tables: "manager/store/memory-tables.ts",
  store: "manager/store/store.ts",
  agent: "worker/agent/agent.ts",
  task: "schema/task.ts",
};

/** Loads the parts from the tree at `root` (absolute). */
export async function loadParts(root: string): Promise<Parts> {
  const modules = await Promise.all(
    Object.entries(files).map(
      async ([name, file]) => [name, await import(/* @vite-ignore */ pathToFileURL(join(root, file)).href)] as const,
    ),
  );
  return Object.fromEntries(modules) as unknown as Parts;
}
