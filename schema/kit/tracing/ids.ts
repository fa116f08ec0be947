/** Ids of spans and traces: by chance, unless the next span's were named. */
import { randomFillSync } from "node:crypto";

export interface Ids {
  /** Names the ids of the span that is started next; absent ones are drawn. */
  nextIs(ids: { readonly spanId?: string; readonly traceId?: string }): void;
  generateTraceId(): string;
  generateSpanId(): string;
}

/** Random bytes are taken by the page: one call for each id would cost more than the span. */
export function makeIds(): Ids {
  const page = Buffer.alloc(4_096);
  let at = page.length;
  let next: { readonly spanId?: string; readonly traceId?: string } = {};
  const draw = (bytes: number): string => {
    if (at + bytes > page.length) {
      randomFillSync(page);
      at = 0;
    }
    const hex = page.toString("hex", at, at + bytes);
    at += bytes;
    // All zero is no id (W3C), and once in 2^64.
    return /[^0]/.test(hex) ? hex : draw(bytes);
  };
  return {
    nextIs(ids) {
      next = ids;
    },
    generateTraceId: () => next.traceId ?? draw(16),
    generateSpanId: () => next.spanId ?? draw(8),
  };
}
