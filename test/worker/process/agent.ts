/** An agent for tests that kill it: opens a host on the folder it is given and launches what standard input says, one order (or new deadlines of an attempt) a line. */
import { createInterface } from "node:readline";
import { bootClock } from "../../../schema/kit/clock.ts";
import { silentLog } from "../../../schema/kit/log.ts";
import type { LaunchOrder } from "../../../worker/process/host.ts";
import { openPosixHost } from "../../../worker/process/posix.ts";

const tell = (kind: string) => (event: object) => void process.stdout.write(`${JSON.stringify({ kind, ...event })}\n`);
const host = await openPosixHost({
  folder: process.argv[2] as string,
  clock: bootClock(),
  log: silentLog(),
  listener: { started: tell("started"), notStarted: tell("notStarted"), ended: tell("ended"), progress: tell("progress") },
});
for await (const line of createInterface({ input: process.stdin })) {
  const said = JSON.parse(line) as LaunchOrder & { readonly again?: string };
  if (said.again === undefined) host.launch(said);
  else host.setDeadlines(said.again, said.deadlines);
}
