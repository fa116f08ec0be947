import { problem } from "../../schema/problem.ts";
import type { Clock } from "../../schema/kit/clock.ts";

export interface RateLimiter {
  /** Takes one request of `who`; throws 429 with the seconds to wait when the bucket is empty. */
  take(who: string): void;
}

/** A bucket per name that holds `burst` and is refilled by `perSecond`. Names are those of tokens, so there are few. */
export function makeRateLimiter(clock: Clock, perSecond: number, burst: number): RateLimiter {
  const buckets = new Map<string, { left: number; at: number }>();
  return {
    take(who) {
      const now = clock.now().mono;
      let bucket = buckets.get(who);
      if (!bucket) buckets.set(who, (bucket = { left: burst, at: now }));
      bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) * perSecond) / 1_000);
      bucket.at = now;
      if (bucket.left < 1) {
        throw problem("too-many", `more than ${perSecond} requests per second with this token; slow down`, {
          retryAfterSeconds: Math.max(1, Math.ceil((1 - bucket.left) / perSecond)),
        });
      }
      bucket.left -= 1;
    },
  };
}
