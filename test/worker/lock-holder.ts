/** Locks the folder named, drops the handle, collects what nobody holds, says so, and lives until a test kills it. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { lockFolder } from "../../worker/lock.ts";

lockFolder(process.argv[2] as string);
setFlagsFromString("--expose-gc");
(runInNewContext("gc") as () => void)();
// Finalizers run in a later turn.
setImmediate(() => setImmediate(() => process.stdout.write("held\n")));
setInterval(() => undefined, 60_000);
