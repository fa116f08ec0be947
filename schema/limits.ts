/**
 * Every bound of Muster, named once. Sizes are bytes (UTF-8), times milliseconds or seconds as the name ends.
 * A bound that is passed is an error that names it, never a silent cut.
 */

/** Bounds of the wire (docs/words.md, asyncapi.yaml). */
export const wireLimits = {
  /** One MQTT message. Brokers in the field cap far lower than MQTT's own 256 MB. */
  payloadBytes: 65_536,
  /** A start item larger than this travels as a ticket, its body is fetched over HTTP. */
  startInlineBytes: 49_152,
  /** Reports of one worker that are on the wire and not yet acknowledged. */
  unackedReportBytes: 65_536,
  /** Base64 text of one log message's bytes. */
  logChunkBase64Bytes: 46_080,
  /** A retained status, which is also the last will: some brokers cap wills at 160 or less. */
  statusBytes: 160,
  /** Items in one message: more travel as a further message. */
  itemsPerMessage: 500,
  /** Levels of objects and lists in one message or item: a result of `jsonDepth`, and what it travels in. */
  jsonDepth: 72,
} as const;

/** Bounds of what clients may ask for. */
export const requestLimits = {
  bodyBytes: 1_048_576,
  scriptBytes: 10_485_760,
  resultBytes: 10_485_760,
  /** A result up to this size travels in the report and lives in the run's row. */
  inlineResultBytes: 32_768,
  /** A task version's run part up to this size lives in its row; a larger one is a body of its own. */
  inlineSpecBytes: 32_768,
  idChars: 36,
  nameChars: 128,
  sentenceChars: 500,
  itemsPerBulk: 1_000,
  listDefault: 50,
  listMax: 200,
  waitSecondsMax: 60,
  labelsMax: 64,
  labelKeyChars: 63,
  labelValueChars: 255,
  constraintsMax: 32,
  constraintChars: 255,
  paramsMax: 64,
  /** Names and values of all parameters of one run together. */
  paramsBytes: 16_384,
  envMax: 256,
  envBytes: 262_144,
  argsMax: 256,
  argBytes: 131_072,
  stdinBytes: 524_288,
  attemptsMax: 100,
  timeoutSecondsMax: 31_536_000,
  idempotencyKeyChars: 128,
  /** Levels of objects and lists in one JSON body. */
  jsonDepth: 64,
  /** Wrong fields that one problem names; the rest are counted. */
  fieldErrors: 100,
  idempotencyKeptMs: 86_400_000,
} as const;

/** Bounds of what one manager holds. */
export const managerLimits = {
  /** Runs that wait (queued or retrying) in one pool; the next start is answered 429. */
  waitingRuns: 1_000_000,
  /** Waiting runs in memory, beside those that come back from a worker or wait to be retried; the rest are in the database. */
  queueWindow: 10_000,
  /** Inputs that one commit may cover. */
  batchInputs: 500,
  /** Bytes of one commit, a quarter of MariaDB's default max_allowed_packet. */
  batchBytes: 4_194_304,
  /** HTTP requests that wait for a commit; the next one is answered 503 not-taken. */
  waitingRequests: 10_000,
  /** Bytes of these, about. */
  waitingRequestBytes: 67_108_864,
  /** Requests per second for one token, and how many may come at once. */
  requestsPerSecondPerToken: 20_000,
  requestBurstPerToken: 40_000,
  /** Recently used task versions kept in memory. */
  taskCache: 5_000,
  /** Starts sent beyond a worker's free slots, so that a slot never waits for the wire. */
  prefetch: 2,
  /** Raw messages or requests that could not be applied, kept for an operator. */
  setAside: 1_000,
  /** While the store is in trouble, log lines about it come no faster. */
  troubleLogMs: 30_000,
  sseClients: 500,
  /** Bytes that one slow event or log reader may be behind before it is dropped. */
  sseBufferBytes: 1_048_576,
  workers: 100_000,
  /** Attempts that one batch may make; the rest follows in the next. */
  placementsPerBatch: 500,
  /** Timers that one tick serves; the rest follows in the next. */
  duePerTick: 1_000,
  /** Task versions, and runs of a task to be stopped, that one batch may read. */
  readsPerBatch: 1_000,
  /** Ids in each of a sync item's two lists, so that it fits a message. */
  idsPerSync: 700,
  /** Attempts in one ask item. */
  idsPerAsk: 500,
  /** Unknown attempts of one worker that are remembered as found. */
  foundPerWorker: 1_000,
  alarms: 200,
} as const;

/** Bounds of the HTTP API of one manager. */
export const apiLimits = {
  /** Requests that hold their answer back (`waitSeconds`); the next one is answered 429. */
  waitingReads: 10_000,
  /** Events that one page of history holds while a stream catches up. */
  catchUpPage: 500,
  /** Comment lines that keep proxies from closing a quiet stream. */
  streamBeatMs: 15_000,
  /** How often it is looked whether the token or session of a stream still holds. */
  streamRecheckMs: 2_000,
  /** How often a follower of a log looks for more; another manager may be the one that stores it, so nobody tells. */
  logFollowPollMs: 200,
  /** Looks without anything new, after the end, before a follower takes the log for complete. */
  logSettleLooks: 5,
  logReadBytes: 65_536,
  /** Browser sessions; the longest unused one gives way to a new one. */
  sessions: 10_000,
  sessionIdleMs: 1_800_000,
  /** A use is written no more often than this, so a session may be idle for that much less. */
  sessionNotedMs: 60_000,
  /** How long a manager takes a session for what it was when it last looked: a sign-out at another manager holds here after this. */
  sessionKeptMs: 1_000,
  sessionMs: 43_200_000,
  /** Posted tokens per second, of everybody together, and how many may come at once. */
  sessionPostsPerSecond: 10,
  sessionPostBurst: 50,
  /** Tries of an edit when somebody else changes the task in between. */
  editTries: 10,
  /** How long checks of `/health`, which is open to all, are given again. */
  healthKeptMs: 1_000,
  headerBytes: 16_384,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 120_000,
  keepAliveTimeoutMs: 65_000,
  /** How long closing waits for requests in flight. */
  closeMs: 5_000,
  closeSweepMs: 50,
  /** How long closing waits for commits; who still waits then is told that the outcome is unknown. */
  closeAnswersMs: 2_000,
} as const;

/** Bounds of what one worker holds. */
export const workerLimits = {
  slotsDefault: 10,
  slotsMax: 10_000,
  /** Ended attempts kept in the ledger after their end was acknowledged. */
  ledgerEntries: 100_000,
  ledgerKeptMs: 7 * 86_400_000,
  /** Bytes that one stream of one attempt may have unshipped on disk before the oldest are dropped, with a gap record. */
  logSpoolBytes: 67_108_864,
  /** Bytes of one stream of one attempt that are shipped; what comes after is counted in a gap record. */
  logStreamBytes: 52_428_800,
  /** Bytes kept free before a start: the exit record and the journal's reserve. */
  diskReserveBytes: 16_777_216,
  /** Folders of attempts whose end is acknowledged and whose logs nobody acknowledges; then the oldest goes, with a log line. */
  attemptFoldersKept: 10_000,
  /** Starts accepted beyond what is free now: they wait for room, and are refused when they are no longer fresh. */
  heldStarts: 4,
  /** Reports that no ack covers; beyond it, commands that would add one are dropped (they come again), ends never are. */
  unackedReports: 200_000,
  /** Acknowledged ends of the ledger that one hello lists; more are asked for once these are stored. */
  ledgerPerHello: 1_000,
  /** Ended attempts forgotten in one step, when the ledger is over its bounds. */
  ledgerForgottenAtOnce: 1_000,
  /** Kept free for the journal beside it, and let go when the disk is full, so that ends can still be written (rule 26). */
  journalReserveBytes: 1_048_576,
  /** Journals moved aside, corrupt or replaced, of which the newest are kept. */
  journalsAside: 5,
  /** Unshipped output of all attempts together; beyond it the oldest ended attempts' output is dropped, with gap records. */
  logSpoolTotalBytes: 2_147_483_648,
  /** Log bytes of the whole worker that are on the wire and not yet acknowledged. */
  logInFlightBytes: 262_144,
  /** Streams with output on the wire: with the bytes above never more messages than a manager lets wait for one worker (32). */
  logStreamsInFlight: 24,
  /** The same of one stream, so that one talkative attempt leaves room for the others. */
  logStreamInFlightBytes: 138_240,
  /** Shipped or dropped output is freed on disk in pieces of at least this size. */
  logFreeBytes: 16_777_216,
  /** Downlinks that wait for the core: what comes beyond either bound is dropped, counted, and returns by being resent (rule 16). */
  inboxMessages: 1_000,
  inboxBytes: 8_388_608,
  /** Inputs that one journal write may cover. */
  batchInputs: 500,
  /** Actions that wait for a full journal; beyond it the oldest publishes go, which the core repeats by itself. */
  heldActions: 5_000,
  /** A start's body that is fetched over HTTP: a script of `scriptBytes` in base64, standard input and environment. */
  fetchedBodyBytes: 16_777_216,
  fetchesAtOnce: 4,
  uploadsAtOnce: 2,
} as const;

/** Default times. Those in intervals are multiples of the heartbeat interval that the worker was given (rule 11). */
export const timing = {
  heartbeatMs: 10_000,
  unreachableIntervals: 2.5,
  startTtlIntervals: 3.5,
  workerLostIntervals: 7.5,
  leaseRenewMs: 2_000,
  leaseStillMs: 6_000,
  /** What a client's request waits for its commit; then its outcome is unknown. */
  answerWithinMs: 15_000,
  /** News of a run that can wait for more of it (accepted, running) leaves the worker after this. */
  gatherMs: 20,
  resendFirstMs: 2_000,
  resendMaxMs: 30_000,
  /** A start is resent for this long, then only asked about. */
  startResendMs: 60_000,
  killGraceSeconds: 10,
  lostAfterSeconds: 4_500,
  giveUpAfterSeconds: 86_400,
  brakeHoldMs: 900_000,
  brakeReleasePerSecond: 10,
  watchdogTickMs: 2_000,
  /** A worker's tick at the latest; rule 6 measures gaps between them. */
  workerTickMs: 1_000,
  /** How long output may lie unnoticed while somebody may follow it. */
  logPollMs: 200,
  /** How often overdue log acks are looked for. */
  logSweepMs: 500,
  /** A stream without growth for this long is watched instead of looked at. */
  logQuietMs: 2_000,
  /** How long a large result may fail to upload while the worker is connected; then its end goes without it. */
  resultUploadMs: 120_000,
  httpRequestMs: 30_000,
  /** The agent's state file is written at least this often, and stale after three times that. */
  stateFileMs: 10_000,
  /** After the first SIGINT or SIGTERM a second one within this time stops the runs too. */
  secondSignalMs: 5_000,
  /** Two signals closer than this are one press of Ctrl-C that came by two ways. */
  sameSignalMs: 300,
  /** How long a leaving worker waits for its last messages to be taken. */
  lastWordsMs: 2_000,
  fleetBeatsPerSecond: 1_000,
  /** KILL is repeated until the tree is empty: a fork may have slipped through. */
  killRepeatMs: 3_000,
  /** A worker sends at most one progress report of an attempt in this time. */
  progressMs: 1_000,
  /** However often a manager wants heartbeats. */
  heartbeatMinMs: 10,
  /** A fence moves in steps of this, or of a twentieth of `lostAfterSeconds` when that is less. */
  fenceStepMs: 10_000,
  /** A worker sends no two asked hellos within this time. */
  helloSpacingMs: 500,
} as const;

/** Bounds of the wire's own parts: the embedded broker, the MQTT client and the file of credentials. */
export const brokerLimits = {
  /** Remaining length of one MQTT packet: a payload, its topic and the header. A larger one cuts the connection unread. */
  packetBytes: wireLimits.payloadBytes + 1_024,
  /** Remaining length of the first packet of a connection, which nobody has vouched for yet. */
  connectBytes: 4_096,
  /** Bytes that one client may be behind; further messages to it are dropped and counted, and the drain timeout cuts it. */
  outboundBytes: 16_777_216,
  /** A client that takes no bytes for this long is cut. */
  drainTimeoutMs: 8_000,
  /** From the socket to CONNECT, and from CONNECT to CONNACK. */
  connectTimeoutMs: 10_000,
  /** From DISCONNECT until a connection that does not end by itself is cut. */
  goodbyeMs: 1_000,
  /** A connection that held for this long was a good one: the next reconnect waits no longer than the first. */
  stableConnectionMs: 10_000,
  connections: 20_000,
  connectsPerSecond: 500,
  connectBurst: 1_000,
  /** Keepalive that our clients ask for, and the longest that the embedded broker grants. */
  keepaliveSeconds: 30,
  keepaliveSecondsMax: 300,
  clientIdChars: 64,
  topicLevels: 10,
  /** One filter per worker, one per pool that a manager leads. */
  filtersPerWorker: 1,
  filtersPerManager: 64,
  /** Messages inside the embedded broker at once. */
  concurrency: 1_000,
  /** In-process publishes that enter the embedded broker in one turn of the event loop. */
  publishesPerTurn: 500,
  /** QoS 2 is not part of the protocol; a stranger who uses it may have this many in flight. */
  qos2InFlight: 16,
  /** Publishes of one connection that wait for their PUBACK. */
  publishWindow: 64,
  /** Publishes of one connection that wait for room in the window; the next one rejects. */
  publishQueue: 10_000,
  publishQueueBytes: 67_108_864,
  tokens: 1_000,
  clients: 100_000,
  /** Preset tokens and passwords are at least this long, and never longer than the other. */
  secretCharsMin: 24,
  secretCharsMax: 512,
  /** Verified passwords that are remembered, so that a reconnect storm hashes each only once. */
  verifiedPasswords: 20_000,
  credentialsLockMs: 5_000,
} as const;
