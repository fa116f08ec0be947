/** Bounds of the process host. */
export const processLimits = {
  /** Attempts whose folders are made in one turn of the event loop, so that a thousand launches never stall a heartbeat. */
  launchesPerTurn: 16,
  /** Processes or attempts that are looked at in one turn of the event loop. */
  looksPerTurn: 256,
  /** Every attempt is looked at this often, whatever the doorbell said. */
  pollMs: 1_000,
  /** The doorbell's file is emptied when it is larger. */
  doorbellBytes: 1_048_576,
  unwatchedDoorbellMs: 50,
  /** A launch that is not answered is told to the launcher again after this, and given up after `launchGivenUpMs`. */
  launchRepeatMs: 5_000,
  launchGivenUpMs: 60_000,
  /** Between two scans of /proc at least this many times the processor time of the last one. */
  scanRest: 3,
  /** How often one look goes after processes that were born during it, or are between two programs, and how soon again. */
  looksAfterNewborn: 200,
  lookAgainMs: 1,
  /** Numbers given out between two turns of a look, and forks that are on their way at one time, at most. */
  pidsGathered: 8_192,
  forksAtOnce: 256,
  /** How often a process is looked at whose environment cannot be read although its program is in place. */
  riddleLooks: 20,
  /** After this an attempt of which nothing is found ends, although other processes come and go too fast to look at each. */
  lookGivenUpMs: 2_000,
  looksGivenUp: 5,
  /** First and longest wait before a tree that is not yet empty is scanned again; then it is also said in the log. */
  scanAgainMs: 5,
  scanAgainMaxMs: 1_000,
  treeStuckMs: 30_000,
  /** A tree that was not empty after so many rounds of KILL is stopped as a whole first, in so many passes at most. */
  killRounds: 1,
  freezePasses: 50,
  /** How long recovery waits for what an attempt left behind; what is slower ends later, like a live one. */
  recoverMs: 5_000,
  recoverLookMs: 20,
  /** How long a signal waits for the program that shall take it, between its shim's record and its exec, and how it looks. */
  programMs: 60_000,
  programLookMs: 2,
  programLookMaxMs: 50,
  /** An attempt that was given to a shim is looked at this soon, and again until its claim is there: no bell rings for it. */
  startLookMs: 10,
  startLookMaxMs: 1_000,
  /** A shim that serves its attempt for longer than this is let go: it costs the agent nothing then. */
  shimKeptMs: 10_000,
  attemptsPerShim: 256,
  /** Shims that wait for an attempt, and how many of them stay when nobody has needed them for so long. */
  idleShims: 64,
  idleShimsKept: 2,
  idleShimMs: 30_000,
  fifosAtOnce: 32,
  mkfifoMs: 5_000,
  fifoTries: 3,
  /** Shims that have left, after which the launcher is told to forget its dead children. */
  shimsPerSweep: 16,
  /** Process ids given out since an attempt began, up to which each is looked at; beyond it all of /proc is read. */
  pidsLookedAt: 512,
  /** Folders of ended attempts that are kept for others. */
  spareFolders: 64,
} as const;
