/** Bounds of what managers ask each other. */
export const peerLimits = {
  /** One question of a manager to another: a bulk start with what the API added to each of its items. */
  bodyBytes: 4_194_304,
  /** One answer: a thousand runs with all their parameters, and room for their other fields. */
  answerBytes: 67_108_864,
  /** Requests that are on their way to leaders; the next one is answered 503 not-taken. */
  inFlight: 1_000,
  /** Bytes of these. */
  inFlightBytes: 67_108_864,
  /** Connections to one manager; what more there is waits for one. */
  connections: 128,
  /** An idle connection is closed by who opened it, well before the other side would (`keepAliveTimeoutMs`). */
  idleMs: 30_000,
  /** Until a connection stands. */
  connectMs: 2_000,
  /** Beyond what the leader itself gives a request (`answerWithinMs`). */
  answerGraceMs: 2_000,
  /** What a leader still says when its lead has ended may be on its way for so long. */
  lastWordsMs: 250,
  /** The live view of a leader: nobody waits for it longer. */
  viewMs: 1_000,
  /** A leader that did not answer in time is not asked again for so long. */
  silentMs: 2_000,
  /** How long what a leader said of its health is told again. */
  healthKeptMs: 1_000,
  /** Of a pool that this manager does not serve: how long the database may take to say who leads it. */
  lookMs: 2_000,
  /** And how long that is remembered. */
  leaseKeptMs: 1_000,
  /** How often events of pools that are led elsewhere are looked for, while somebody listens. */
  tailPollMs: 100,
  /** How often pools that nobody here knew of are looked for, and numbers of events that begin again. */
  tailPoolsMs: 1_000,
  /** Events that one look reads. */
  tailPage: 1_000,
  /** Own events of one pool that wait until what came before them was read. */
  tailAhead: 10_000,
  /** Runs and workers that one question asks about. */
  viewItems: 2_000,
  /** Numbers behind a manager's newest one that are told apart when they come late. */
  replayWindow: 4_096,
  /** Managers whose numbers are remembered. */
  senders: 1_000,
} as const;
