/** The `muster` command: `muster doctor`, `muster restored`. */
import { Command, CommanderError } from "commander";
import { backupCommand } from "./backup.ts";
import { ConfigStop } from "../schema/kit/config.ts";
import { doctorCommand } from "./doctor.ts";
import { restoredCommand } from "./restored.ts";

/** The exit code of wrong use. */
const misuse = 2;

function program(): Command {
  const muster = new Command("muster").description(
    "Muster's own tools. What starts its parts (manager, worker, broker) is beside it: see README.md.",
  );
  for (const command of [backupCommand(), doctorCommand(), restoredCommand()]) muster.addCommand(command);
  // Each by itself: a command that leaves its errors to commander ends with 1, which is for what is wrong with the system.
  for (const command of [muster, ...muster.commands])
    command.exitOverride().configureOutput({
      outputError: (said, write) => write(said.replace(/^error: (.*)/, `muster ${command.name()}: $1; see --help`)),
    });
  return muster;
}

try {
  await program().parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has said what is wrong already, or printed the help that was asked for.
    process.exitCode = error.exitCode === 0 ? 0 : misuse;
  } else if (error instanceof ConfigStop) {
    (error.exitCode === 0 ? process.stdout : process.stderr).write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  } else {
    process.stderr.write(`muster ${process.argv[2] ?? ""}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
