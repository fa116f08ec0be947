/** Writes to the journal of the folder named, without end, and tells each write that returned. Run by a test that kills it. */
import { openJournal } from "../../worker/journal.ts";
import { unknownRun } from "../../worker/agent/records.ts";

const journal = openJournal(process.argv[2] as string, { wall: 1 });
for (let seq = 1; ; seq += 1) {
  const attempt = `a${seq}`;
  journal.write([
    {
      write: "entry",
      entry: {
        attempt,
        run: unknownRun,
        start: 1,
        state: "ended",
        epoch: null,
        order: null,
        process: null,
        startedWall: null,
        stopBy: null,
        timedOut: false,
        timeoutMono: null,
        killMono: null,
        signals: [],
        launchBootId: null,
        end: { how: "exited", code: 0 },
        endSeq: seq,
        changedWall: 5,
      },
    },
    { write: "report", report: { seq, attempt, body: "{}" } },
  ]);
  process.stdout.write(`${seq}\n`);
}
