import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";

/** Where Debian has libfaketime: below the folder of this kind of machine's libraries. */
const library =
  ["x86_64", "aarch64"]
    .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`)
    .find((file) => existsSync(file)) ?? "libfaketimeMT.so.1";

/** Wall clocks alone: monotonic clocks and timers stay, as when somebody sets a host's clock. */
export class WallClock {
  readonly #file: string;
  readonly env: Readonly<Record<string, string>>;

  constructor(file: string) {
    this.#file = file;
    this.env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      FAKETIME_DONT_RESET: "1",
    };
    this.set(0);
  }

  /** So many seconds before or behind the true time, from now on. */
  set(seconds: number): void {
    writeFileSync(this.#file, `${seconds < 0 ? "-" : "+"}${Math.abs(seconds)}\n`);
  }
}

/** Why wall clocks cannot be moved on this host. */
export function wallClockMissing(): string | undefined {
  const env = { ...process.env, LD_PRELOAD: library, FAKETIME: "+86400", FAKETIME_DONT_FAKE_MONOTONIC: "1" };
  const { stdout } = spawnSync(process.execPath, ["-p", "Date.now()"], { env, encoding: "utf8" });
  return Number(stdout) > Date.now() + 80_000_000
    ? undefined
    : `wall clocks cannot be moved here: no ${library} (apt-get install faketime)`;
}
