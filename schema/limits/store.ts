/** Bounds of the store. */
export const storeLimits = {
  /** Idempotency keys that one commit forgets. */
  keysForgotten: 1_000,
  /** Rows that one page of a list looks at; a page that looked at so many is handed out short, with its cursor. */
  listScanRows: 5_000,
  /** One row of a large body: small beside MariaDB's max_allowed_packet. */
  bodyPartBytes: 524_288,
  cursorChars: 512,
  /** Gaps recorded in one stream of one attempt; what comes after is one last gap. */
  logGaps: 1_000,
} as const;
