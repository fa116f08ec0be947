import type { LogStore } from "../../manager/store/logstore.ts";
import { outputOf } from "./output.ts";
import type { SimWorker } from "./worker.ts";

/**
 * I12: what is stored of an attempt's output is what its process wrote, without a hole and no further than that; all of what
 * was acknowledged, and all there is where an agent that is heard still knows of it.
 */
export async function wrongOutput(logs: LogStore, workers: readonly SimWorker[]): Promise<string[]> {
  const lines: string[] = [];
  for (const { host, line } of workers) {
    for (const [attempt, { produced, acked, tracked }] of host.output.attempts) {
      const { pieces, end } = await logs.read(attempt, "stdout", 0, produced + 1);
      const stored = Buffer.concat(pieces.map((piece) => (piece.kind === "bytes" ? piece.bytes : Buffer.alloc(piece.length))));
      if (end > produced || !stored.equals(outputOf(attempt, end)))
        lines.push(`the output of ${attempt} is not what it wrote (I12)`);
      if (end < acked) lines.push(`of the output of ${attempt} ${acked} bytes were acknowledged and ${end} are stored (I12)`);
      if (tracked && line?.open === true && end < produced)
        lines.push(`of the output of ${attempt} ${end} bytes of ${produced} are stored at the end (I12)`);
    }
  }
  return lines;
}
