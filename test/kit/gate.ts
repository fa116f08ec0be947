/** A gate at which scripts wait without using the processor: a fifo, from which each takes one empty line. */
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, writeSync } from "node:fs";

export interface Gate extends Disposable {
  /** What a script for sh does to wait. */
  readonly wait: string;
  /** Lets so many pass, be they there already or not. */
  letPass(count: number): void;
}

/** Makes the fifo; `path` must need no quotes. */
export function makeGate(path: string): Gate {
  execFileSync("mkfifo", [path]);
  // For both, so that a line waits for the scripts that come later.
  const file = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  return {
    wait: `read -r _ <${path}`,
    letPass: (count) => void writeSync(file, "\n".repeat(count)),
    [Symbol.dispose]: () => closeSync(file),
  };
}
