/** What a worker says of itself that has no history, has nothing running and takes no bodies: the rest of a hello is who it is. */
export const newcomer = {
  highestTerm: 0,
  highestAck: 0,
  firstUnackedSeq: 1,
  newestSeq: 0,
  versions: [1],
  survives: true,
  http: false,
  draining: false,
  inventory: { part: 1, of: 1, items: [] },
};
