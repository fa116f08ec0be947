import { expect, test } from "vitest";
import { actions, type ActDeps } from "../../worker/act.ts";
import type { AgentAction, AgentInput } from "../../worker/agent/types.ts";

const order = { attempt: "a1", run: "r1", driver: "exec", spec: {}, env: {}, limits: { logStreamBytes: 1, resultBytes: 1 } };
const launchAt = (freshUntilMono: number): AgentAction =>
  ({
    action: "launch",
    order,
    deadlines: { timeoutMono: null, fenceMono: null, graceMs: 0 },
    freshUntilMono,
  }) as unknown as AgentAction;

test("a launch that was held back until it is stale is refused and reaches no host (rule 6)", () => {
  const told: AgentInput[] = [];
  const act = actions({ put: (input: AgentInput) => told.push(input), monoMs: () => 5_000 } as unknown as ActDeps);
  act(launchAt(5_000));
  expect(told).toMatchObject([{ kind: "notStarted", attempt: "a1", how: "refused" }]);
});
