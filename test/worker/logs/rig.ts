/** A shipper over real files, a manager's store behind a wire that a test may cut, and a clock that only a test pushes on. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../../schema/kit/log.ts";
import { workerLimits } from "../../../schema/limits.ts";
import { punchHole, type FreeBytes } from "../../../worker/logs/free.ts";
import type { LogPiece } from "../../../worker/logs/piece.ts";
import { openPositions } from "../../../worker/logs/positions.ts";
import { LogShipper } from "../../../worker/logs/shipper.ts";
import { ManagerStore } from "./manager-store.ts";

export class LogRig implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), "muster-logs-"));
  readonly store = new ManagerStore();
  readonly sent: LogPiece[] = [];
  /** Attempts whose folder was removed. */
  readonly removed: string[] = [];
  /** What becomes of a piece on the wire: false is lost. */
  wire: (piece: LogPiece) => boolean = () => true;
  /** The shippers' clock: it stands but for what a test adds, so that nothing is due by how slow the host is. */
  aheadMs = 0;
  readonly #shippers: LogShipper[] = [];

  /** An agent's shipper, connected. */
  shipper(options: { readonly freeBytes?: FreeBytes; readonly logSpoolBytes?: number } = {}): LogShipper {
    const made = this.disconnected(options);
    made.up();
    return made;
  }

  disconnected(options: { readonly freeBytes?: FreeBytes; readonly logSpoolBytes?: number } = {}): LogShipper {
    const made: LogShipper = new LogShipper({
      folderOf: (attempt) => join(this.root, attempt),
      remove: async (attempt) => {
        this.removed.push(attempt);
        await rm(join(this.root, attempt), { recursive: true });
      },
      send: (piece) => {
        this.sent.push(piece);
        if (!this.wire(piece)) return;
        const end = this.store.append(piece);
        queueMicrotask(() => made.acked(piece.attempt, piece.stream, end));
      },
      freeBytes: options.freeBytes ?? punchHole,
      positions: openPositions(join(this.root, "shipped")),
      logSpoolBytes: options.logSpoolBytes ?? workerLimits.logSpoolBytes,
      clock: { now: () => ({ mono: 1_000_000 + this.aheadMs, wall: 0 }) },
      log: silentLog(),
    });
    this.#shippers.push(made);
    return made;
  }

  /** An attempt's folder with its two empty files. */
  files(attempt: string): { readonly stdout: string; readonly stderr: string } {
    mkdirSync(join(this.root, attempt));
    const files = { stdout: join(this.root, attempt, "stdout"), stderr: join(this.root, attempt, "stderr") };
    writeFileSync(files.stdout, "");
    writeFileSync(files.stderr, "");
    return files;
  }

  get bytesSent(): number {
    return this.sent.reduce((sum, piece) => sum + Buffer.byteLength(piece.bytes, "base64"), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const shipper of this.#shippers) await shipper[Symbol.asyncDispose]();
    rmSync(this.root, { recursive: true, force: true });
  }
}
