/** `muster doctor`: what is wrong with a running system and a data folder, in sentences. */
import { Command } from "commander";

export function doctorCommand(): Command {
  return new Command("doctor").description("Checks a running system and a data folder.");
}
