/**
 * A manager's store in a process of its own, for tests to kill: commits batches of runs for ever and prints the number of
 * each that holds. Arguments: the database's file, how many runs a batch has.
 */
import { openSqliteStore } from "../../../manager/store/sqlite/store.ts";
import { lead, pool, run } from "../../contract/store/rows.ts";

const [file = "", size = "1"] = process.argv.slice(2);
const store = await openSqliteStore({ file });
const leader = await lead(store);
let { queued } = await store.loadLive(pool);
for (;;) {
  const first = queued + 1;
  queued += Number(size);
  const rows = Array.from({ length: Number(size) }, (_, at) =>
    run({ id: `r${first + at}`, order: first + at, labels: { first: String(first) } }),
  );
  await leader.commit(...rows.map((row) => ({ op: "insertRun", row }) as const));
  process.stdout.write(`${first}\n`);
}
