/** Gives the disk back what is shipped, while the process goes on writing to the same file. */
import { spawn } from "node:child_process";
import type { Log } from "../../schema/kit/log.ts";
import { openPlainFile } from "../plain-file.ts";
import type { Positions } from "./positions.ts";
import { freeable, type LogStream } from "./stream.ts";

/** Frees `length` bytes from `offset` on without changing the file's length. Rejects where the host or file system cannot. */
export type FreeBytes = (file: string, offset: number, length: number) => Promise<void>;

/**
 * Punches a hole with fallocate(1), since Node has no call for it. A child process costs a millisecond or more, so callers
 * free many megabytes at once. Without fallocate (not Linux) shipped output stays on disk until its attempt's folder goes.
 */
export const punchHole: FreeBytes = async (path, offset, length) => {
  await using file = await openPlainFile(path, "write");
  if (!file) throw new Error(`${path} is no plain file`);
  await runFallocate(file.fd, offset, length);
};

/** The child gets the open file, not its name: between two looks the name may become a link to somebody else's file. */
function runFallocate(fd: number, offset: number, length: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const args = ["--punch-hole", "--offset", String(offset), "--length", String(length), "/proc/self/fd/3"];
    const child = spawn("fallocate", args, {
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
      stdio: ["ignore", "ignore", "pipe", fd],
      timeout: 30_000,
    });
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(0, 500)));
    child.once("error", (error) => reject(new Error("fallocate cannot be run", { cause: error })));
    child.once("close", (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`fallocate cannot free ${length} bytes: ${said.trim() || `it ended with ${code ?? signal}`}`));
    });
  });
}

/** A host that failed this often in a row cannot do it, and is asked no more. */
const failuresMost = 3;

/** Frees what of an attempt's output may go; one attempt at a time costs nothing, and a host that cannot is noticed once. */
export class Freer {
  readonly #freeBytes: FreeBytes;
  readonly #positions: Positions;
  readonly #log: Log;
  #failures = 0;

  constructor(deps: { readonly freeBytes: FreeBytes; readonly positions: Positions; readonly log: Log }) {
    this.#freeBytes = deps.freeBytes;
    this.#positions = deps.positions;
    this.#log = deps.log;
  }

  /** Whether there is anything to do. */
  wants(streams: readonly LogStream[]): boolean {
    return this.#failures < failuresMost && streams.some((stream) => freeable(stream).length > 0);
  }

  /** Frees it. Never rejects: what could not be freed stays on disk and is tried with the next piece. */
  async free(attempt: string, streams: { readonly stdout: LogStream; readonly stderr: LogStream }): Promise<void> {
    try {
      this.#positions.write(attempt, streams);
    } catch (error) {
      this.#log.warn(
        { err: error, attemptId: attempt },
        "shipped output is not freed: how far it is shipped could not be written down",
      );
      return;
    }
    for (const stream of [streams.stdout, streams.stderr]) {
      for (const span of freeable(stream)) await this.#freeSpan(stream, span);
    }
  }

  async #freeSpan(stream: LogStream, span: { readonly offset: number; readonly length: number }): Promise<void> {
    try {
      await this.#freeBytes(stream.file, span.offset, span.length);
    } catch (error) {
      this.#failures += 1;
      const last =
        this.#failures === failuresMost
          ? "; this host is not asked again, and output stays on disk until its attempt is over"
          : "";
      this.#log.warn({ err: error, attemptId: stream.attempt }, `shipped output could not be freed${last}`);
      return;
    }
    this.#failures = 0;
    if (span.offset < stream.cap) stream.freed = span.offset + span.length;
    else stream.freedAfterCap = span.offset + span.length - stream.cap;
  }
}
