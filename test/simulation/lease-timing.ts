/** How long the managers of a world wait, in ms of their own clocks. */
export const leaseTiming = { leaseRenewMs: 3_000, leaseStillMs: 9_000, tickMs: 2_500, answerWithinMs: 15_000 };
