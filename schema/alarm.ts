/** Every kind of alarm that a manager can raise; docs/operations.md says of each what happened and what to do. */
export const alarmKinds = [
  "fleetBrake",
  "higherTerm",
  "historyLost",
  "lowerEpoch",
  "placement",
  "poolHeld",
  "workerRefused",
] as const;
export type AlarmKind = (typeof alarmKinds)[number];
