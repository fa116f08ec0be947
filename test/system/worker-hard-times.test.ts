import { spawnSync } from "node:child_process";
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { HandManager } from "../kit/hand-manager.ts";
import { workerPair } from "../kit/pair.ts";
import { sweep } from "../kit/sweep.ts";
import { until } from "../kit/until.ts";

/** Waits in the script until the file is there. */
const waitFor = (gate: string): string => `while [ ! -e ${gate} ]; do sleep 0.1; done`;

/** Its answer carries the settings of now. One whose answer was late may have come more than once before. */
async function asksForHello(manager: HandManager): Promise<void> {
  const before = manager.hellos.length;
  await manager.send({ kind: "ask", hello: true });
  await until("another hello", () => manager.hellos.length > before);
}

test("a refused worker says why, leaves, and comes back when it was told to", async () => {
  await using it = await workerPair();
  const { manager, worker } = it;
  manager.workerLostMs = 1_000;
  await asksForHello(manager);
  manager.answerHello = (hello) => ({
    kind: "sync",
    epoch: hello.epoch,
    connection: hello.connection,
    refused: "duplicate worker id",
  });
  await manager.send({ kind: "ask", hello: true });
  await until("the refusal to be printed", () => worker.output.includes("duplicate worker id"));
  await until("it to have left", () => manager.statuses.at(-1)?.st === "off");
  manager.answerHello = (hello) => manager.sync(hello);
  const before = manager.hellos.at(-1);
  await until("it to come back", () => manager.hellos.at(-1) !== before);
  expect(manager.hellos.at(-1)).toMatchObject({ epoch: before?.epoch, connection: (before?.connection ?? 0) + 1 });
  await manager.synced();
  await manager.send(manager.script("after", "exit 0"));
  expect((await manager.endOf("after")).end).toEqual({ how: "exited", code: 0 });
});

test("told to make a new journal, it comes back as a new epoch, and its processes are still its own", async () => {
  await using it = await workerPair();
  const { manager, worker } = it;
  const gate = join(worker.folder, "gate");
  await manager.send(manager.script("kept", `echo begun; ${waitFor(gate)}; exit 6`));
  const { pid } = await manager.running("kept");
  manager.workerLostMs = 500;
  await asksForHello(manager);
  manager.answerHello = (hello) => ({
    kind: "sync",
    epoch: hello.epoch,
    connection: hello.connection,
    refused: "its journal is a copy",
    newJournal: true,
  });
  await manager.send({ kind: "ask", hello: true });
  await until("it to have left", () => manager.statuses.at(-1)?.st === "off");
  manager.answerHello = (hello) => manager.sync(hello);
  const [old = ""] = (manager.hellos.at(-1)?.epoch ?? "").split(".");
  await until("a hello with another journal", () => !manager.hellos.at(-1)?.epoch.startsWith(old));
  expect(manager.hellos.at(-1)?.inventory.items).toEqual([expect.objectContaining({ attempt: "kept", state: "running" })]);
  await manager.synced();
  writeFileSync(gate, "");
  expect(await manager.endOf("kept")).toMatchObject({ end: { how: "exited", code: 6 }, pid });
});

test("a full disk: starts are refused, an end is not lost, and when there is room all goes on", async (context) => {
  const disk = mkdtempSync(join(tmpdir(), "muster-disk-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=48m", "tmpfs", disk]);
  if (mounted.status !== 0) {
    rmdirSync(disk);
    context.skip("a small file system cannot be mounted here");
  }
  try {
    await using it = await workerPair({ MUSTER_DATA_DIR: disk });
    const { manager, worker } = it;
    const gate = join(worker.folder, "gate");
    await manager.send(manager.script("before", `${waitFor(gate)}; echo out; exit 9`));
    await manager.running("before");
    // To the last byte and at once: who goes on writing would also take the reserve that the worker gives up for its ends.
    spawnSync("sh", ["-c", `cat /dev/zero > ${disk}/ballast 2>/dev/null`]);
    await manager.send(manager.script("during", "echo never"));
    expect((await manager.endOf("during")).end).toMatchObject({
      how: "refused",
      // The process host finds no room, or the core knows of it already: which comes first is the clock's choice.
      why: expect.stringMatching(/kept in reserve|disk is full/),
    });
    writeFileSync(gate, "");
    expect((await manager.endOf("before")).end).toEqual({ how: "exited", code: 9 });
    await manager.synced();
    rmSync(join(disk, "ballast"));
    await until("a start to be taken again", async () => {
      const id = `after-${manager.applied.length}`;
      await manager.send(manager.script(id, "exit 0"));
      return (await manager.endOf(id)).end.how === "exited";
    });
    await it[Symbol.asyncDispose]();
  } finally {
    sweep(disk);
    spawnSync("umount", ["-l", disk]);
    rmdirSync(disk);
  }
});
