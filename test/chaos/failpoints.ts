/** Arms failpoints (schema/kit/failpoint.ts) in processes that run, and lets go of those that stand still at one. */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FailOrder, FailStepName } from "../../schema/kit/failpoint.ts";
import { until } from "../kit/until.ts";

export interface Armed {
  /** The process that stands still there, once one does; undefined when none came in time. */
  hit(withinMs?: number): Promise<number | undefined>;
  /** Whoever stands there goes on, and nobody else stops. */
  letGo(): void;
}

export class Failpoints {
  /** What `MUSTER_FAILPOINT` of the processes must be. */
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /** The next process with this folder that comes to the step with this data stands still there. */
  arm(step: FailStepName, contains: readonly string[] = [], hit = 1): Armed {
    const order: FailOrder = { do: "hold", hit, contains };
    const file = join(this.folder, step);
    const own = new RegExp(`^${step}\\.([0-9]+)$`);
    const standing = (): string | undefined => readdirSync(this.folder).find((name) => own.test(name));
    // Nobody must read half of it.
    writeFileSync(`${file}.made`, JSON.stringify(order));
    renameSync(`${file}.made`, file);
    return {
      hit: async (withinMs = 30_000) => {
        const name = await until(`somebody to come to ${step}`, standing, withinMs).catch(() => undefined);
        return name === undefined ? undefined : Number(own.exec(name)?.[1]);
      },
      letGo: () => {
        for (const name of readdirSync(this.folder))
          if (name === step || name.startsWith(`${step}.`)) rmSync(join(this.folder, name));
      },
    };
  }
}
