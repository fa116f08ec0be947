import type { PlantedBug } from "../planted.ts";

/** In how long is waited: for a fence, for a worker that is silent, for the fleet brake. */
export const lossBugs: readonly PlantedBug[] = [
  {
    name: "wait for the fence without its grace and margin",
    rule: 8,
    breaks: "another attempt begins while the watchdog of the first is still at its KILL",
    changes: [
      {
        file: "manager/control/runs/loss.ts",
        edits: [
          {
            find: "return (definition.lostAfterSeconds + definition.killGraceSeconds) * 1_000 + marginTicks * state.options.timing.watchdogTickMs;",
            replace: "return definition.lostAfterSeconds * 1_000;",
          },
        ],
      },
    ],
  },
  {
    name: "place at once what a removed worker ran",
    rule: 11,
    breaks: "a worker that was removed while it was cut off runs its attempt beside the next one",
    changes: [
      {
        file: "manager/control/requests/workers.ts",
        edits: [{ find: "loseRun(turn, run, end, {}, fenceWaitMs(turn.state, run));", replace: "loseRun(turn, run, end, {});" }],
      },
    ],
  },
  {
    name: "forget at a takeover that a fence may not have passed",
    rule: 8,
    breaks: "a new leader places again what the one before had lost a moment ago",
    changes: [
      {
        file: "manager/control/runs/adopt.ts",
        edits: [{ find: "isUnproven(run.lastEnd) ? fenceWaitMs(state, run) : 0", replace: "0" }],
      },
    ],
  },
  {
    name: "count the fence from when the echo came",
    rule: 8,
    breaks: "an echo that was long on its way keeps an attempt alive beyond what the leader reckons with",
    changes: [
      {
        file: "worker/agent/fence.ts",
        edits: [
          {
            find: "return state.asOfMono + order.lostAfterSeconds * 1_000;",
            replace: "return state.lastStepMono + order.lostAfterSeconds * 1_000;",
          },
        ],
      },
    ],
  },
  {
    name: "leave the fences of adopted attempts where they are",
    rule: 9,
    breaks: "an agent's restart has its attempts stopped although the manager speaks to it",
    changes: [
      {
        file: "worker/agent/recover.ts",
        edits: [{ find: '  if (entry.order?.onLost === "retry") state.fenced.add(entry.attempt);\n', replace: "" }],
      },
    ],
  },
  {
    name: "give up at once what shall wait",
    rule: 8,
    breaks: "a run that should wait for its worker is lost with it",
    changes: [
      {
        file: "manager/control/runs/loss.ts",
        edits: [
          {
            find: "return Math.max(nowMono, since + (definition?.giveUpAfterSeconds ?? defaults.giveUpAfterSeconds) * 1_000);",
            replace: "return nowMono;",
          },
        ],
      },
    ],
  },
  {
    name: "never give up",
    rule: 8,
    breaks: "a run waits for ever for a worker that is gone for good",
    changes: [
      {
        file: "manager/control/runs/loss.ts",
        edits: [{ find: "?? defaults.giveUpAfterSeconds) * 1_000);", replace: "?? defaults.giveUpAfterSeconds) * 1_000_000);" }],
      },
    ],
  },
  {
    name: "hold the brake for ever",
    rule: 11,
    breaks: "nobody is declared lost any more once the fleet fell silent",
    changes: [
      {
        file: "manager/control/fleet/brake.ts",
        edits: [
          {
            find: "if (!brake.releasing && now.mono < brake.untilMono) return brake.untilMono;",
            replace: "if (!brake.releasing) return now.mono + 1_000;",
          },
        ],
      },
    ],
    caughtBy: { test: "test/manager/control/loss.test.ts" },
  },
  {
    name: "let all go at once",
    rule: 11,
    breaks: "when the brake lets go the whole fleet's runs are lost in one moment",
    changes: [
      {
        file: "manager/control/fleet/brake.ts",
        edits: [
          {
            find: "brake.nextReleaseMono = Math.max(brake.nextReleaseMono, now.mono) + 1_000 / state.options.timing.brakeReleasePerSecond;",
            replace: "brake.nextReleaseMono = now.mono;",
          },
        ],
      },
    ],
  },
];
