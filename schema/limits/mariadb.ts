const connectionsOfEachKind = {
  /** Connections of one manager that read for whoever asks. */
  readers: 8,
  /** Connections that read for its leaders, so that no crowd of readers holds them up. */
  leaderReaders: 4,
  /** Connections that write: a manager that leads several pools commits for them side by side. */
  writers: 4,
  /** Connections for bodies, secrets, migrations and checks. */
  sessions: 2,
  /** Connections for output: no commit waits behind it. */
  outputs: 4,
} as const;

/** Bounds of a manager's connections to MariaDB. */
export const mariadbLimits = {
  ...connectionsOfEachKind,
  /** All of them. */
  connections: Object.values(connectionsOfEachKind).reduce((sum, count) => sum + count, 0),
  /** Statements that wait for a connection of one kind; the next one is refused, and may be tried again. */
  waiting: 1_000,
  /** The same for output: an append for each worker that talks; their bytes are bounded where they come in. */
  outputsWaiting: 100_000,
  /** From the first packet to a connection that is ready: TLS, password and settings. */
  connectMs: 5_000,
  /** One commit. A server that says nothing for so long has an unknown outcome; the lease is long still by then. */
  writeMs: 10_000,
  /** One statement that reads. The server itself gives up a little earlier, so that nobody pays for an answer that nobody awaits. */
  readMs: 20_000,
  /** What `/health` waits for the server's settings. */
  checkMs: 2_000,
  /** One statement of a migration: an index over millions of rows takes its time. */
  migrationMs: 3_600_000,
  /**
   * A connection is used no longer than this, so that a name or a proxy that leads to another server is followed by everybody; one to
   * a server that said it takes no writes for the shorter time.
   */
  linkKeptMs: 60_000,
  readOnlyLinkKeptMs: 2_000,
  /** A silent connection is probed by the kernel after this. */
  keepAliveMs: 10_000,
  /** While the server is away at the manager's start: delays between tries, and how often the log says so. */
  startRetryFirstMs: 250,
  startRetryMaxMs: 5_000,
  startLogMs: 30_000,
  /** Rule 17: a process that stopped in the middle of a commit holds the lease row no longer than this. Seconds. */
  idleWriteTransactionSeconds: 3,
  lockWaitSeconds: 3,
  /** For a table that an operator alters. Seconds. */
  tableLockWaitSeconds: 5,
  /** Output: bytes of one chunk, before compression. */
  logChunkBytes: 131_072,
  /** A chunk that is smaller is written anew with what comes next, so that a slow talker's stream is not a row for each word. */
  logJoinBytes: 8_192,
  /** Chunks that one look takes in, and chunks that one statement removes. */
  logChunkRows: 500,
  /** Tries of one append while other managers append to the same stream. */
  logAppendTries: 20,
  /** How often a manager asks whether credentials have changed: a token that is revoked elsewhere holds here no longer than this. */
  credentialsLookMs: 1_000,
  /** How long a command waits for a server that is away. */
  commandMs: 10_000,
  /** What the server has to take: four commits, see `managerLimits.batchBytes`. */
  maxAllowedPacketBytes: 16_777_216,
} as const;
