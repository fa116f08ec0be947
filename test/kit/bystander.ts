import { readFileSync, writeFileSync } from "node:fs";
import { expect } from "vitest";
import { triesOf } from "./api-client.ts";
import type { Fleet } from "./fleet.ts";
import { until } from "./until.ts";

/** A run that others must not disturb: it goes on until it is let go, and then ends by itself. */
export interface Bystander {
  readonly id: string;
  readonly attemptId: string;
  /** Opens the gate that the run waits for. */
  letGo(): void;
  /** Lets it go and checks that it ended truly: its own exit code, one start, its whole output. */
  endsTruly(): Promise<void>;
}

/** Starts a bystander and waits until it runs. */
export async function startBystander(fleet: Fleet): Promise<Bystander> {
  const gate = `${fleet.folder}/gate`;
  const begun = `${fleet.folder}/begun`;
  const script = `echo "$MUSTER_RUN_ID" >> ${begun}; echo begin; while [ ! -e ${gate} ]; do sleep 0.1; done; echo end; exit 7`;
  const taskId = await fleet.task({ name: "bystander", run: { driver: "script", interpreter: "sh", script } });
  const [id = ""] = await fleet.startRuns(taskId, 1);
  const run = await until("the bystander to run", async () => {
    const seen = await fleet.run(id);
    return seen.state === "running" && seen;
  });
  const letGo = (): void => writeFileSync(gate, "");
  return {
    id,
    attemptId: run.attempts.at(-1).id as string,
    letGo,
    async endsTruly() {
      letGo();
      const ended = await fleet.ended(id);
      expect(ended).toMatchObject({ state: "failed", end: { how: "exited", code: 7 } });
      expect(triesOf(ended)).toHaveLength(1);
      expect(readFileSync(begun, "utf8")).toBe(`${id}\n`);
      const output = async (): Promise<unknown> =>
        (await fleet.call("GET", `/runs/${id}/logs`, undefined, { accept: "text/plain" })).body;
      await until("the bystander's whole output", async () => (await output()) === "begin\nend\n");
    },
  };
}
