import { describe, expect, test, vi, afterEach } from "vitest";
import type { AgentInput, AgentView } from "../../worker/agent/types.ts";
import { leave } from "../../worker/leave.ts";
import { timing } from "../../schema/limits.ts";

afterEach(() => {
  vi.useRealTimers();
});

function worker(live: number): {
  readonly said: string[];
  readonly inputs: AgentInput[];
  press(): void;
  view: AgentView;
  leaving: Parameters<typeof leave>[0];
  onLeave: (input: AgentInput) => void;
} {
  const made = {
    said: [] as string[],
    inputs: [] as AgentInput[],
    presses: 1,
    waiting: [] as { readonly count: number; readonly resolve: () => void }[],
    press(): void {
      made.presses += 1;
      for (const one of made.waiting) if (one.count <= made.presses) one.resolve();
    },
    onLeave: (_input: AgentInput): void => undefined,
    view: {
      connected: true,
      synced: true,
      draining: false,
      free: { slots: 1, memoryMb: 1, cpus: 1 },
      live: Array.from({ length: live }, (_, index) => ({ attempt: `a${index}`, run: "r", state: "running", pid: 100 + index })),
      unackedReports: 0,
      refused: null,
      lastEnds: [],
    } as AgentView,
    leaving: undefined as unknown as Parameters<typeof leave>[0],
  };
  made.leaving = {
    handled: (input) => {
      made.inputs.push(input);
      made.onLeave(input);
      return Promise.resolve();
    },
    view: () => made.view,
    presses: {
      reached: (count) => new Promise((resolve) => (made.presses >= count ? resolve() : made.waiting.push({ count, resolve }))),
      [Symbol.dispose]: () => undefined,
    },
    say: (line) => made.said.push(line),
  };
  return made;
}

describe("leave", () => {
  test("with nothing running it goes at once", async () => {
    const one = worker(0);
    await leave(one.leaving, false);
    expect(one.inputs).toEqual([{ kind: "leave", stopRuns: false }]);
    expect(one.said).toEqual(["worker leaves; none of its processes runs"]);
  });

  test("with stopRuns it waits also for one that is only being launched", async () => {
    vi.useFakeTimers();
    const one = worker(1);
    one.view = { ...one.view, live: one.view.live.map((each) => ({ ...each, state: "stopping", pid: null })) };
    let gone = false;
    const left = leave(one.leaving, true).then(() => (gone = true));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(gone).toBe(false);
    one.view = { ...one.view, live: [] };
    await vi.advanceTimersByTimeAsync(10_000);
    await left;
    expect(one.said.at(-1)).toBe("all processes have ended; worker leaves");
  });

  test("says how many processes go on, waits for a second press, and then goes without stopping any", async () => {
    vi.useFakeTimers();
    const one = worker(3);
    const left = leave(one.leaving, false);
    await vi.advanceTimersByTimeAsync(timing.secondSignalMs - 1);
    expect(one.said).toEqual([expect.stringContaining("3 of its processes go on")]);
    await vi.advanceTimersByTimeAsync(1);
    await left;
    expect(one.inputs).toEqual([{ kind: "leave", stopRuns: false }]);
  });

  test("a second press stops them, and it waits for their ends and for the manager to have them", async () => {
    vi.useFakeTimers();
    const one = worker(2);
    let gone = false;
    const left = leave(one.leaving, false).then(() => (gone = true));
    await vi.advanceTimersByTimeAsync(1_000);
    one.press();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(one.inputs).toEqual([
      { kind: "leave", stopRuns: false },
      { kind: "leave", stopRuns: true },
    ]);
    expect(gone).toBe(false);
    one.view = { ...one.view, live: [], unackedReports: 2 };
    await vi.advanceTimersByTimeAsync(timing.lastWordsMs / 2);
    expect(gone).toBe(false);
    one.view = { ...one.view, unackedReports: 0 };
    await vi.advanceTimersByTimeAsync(100);
    await left;
    expect(one.said.at(-1)).toBe("all processes have ended; worker leaves");
  });

  test("told to stop its runs it asks nobody", async () => {
    vi.useFakeTimers();
    const one = worker(1);
    const left = leave(one.leaving, true);
    await vi.advanceTimersByTimeAsync(100);
    one.view = { ...one.view, live: [] };
    await vi.advanceTimersByTimeAsync(100);
    await left;
    expect(one.inputs).toEqual([{ kind: "leave", stopRuns: true }]);
  });

  test("a third press does not wait for a process that will not end, and says so", async () => {
    vi.useFakeTimers();
    const one = worker(1);
    const left = leave(one.leaving, false);
    one.press();
    await vi.advanceTimersByTimeAsync(1_000);
    one.press();
    await vi.advanceTimersByTimeAsync(timing.lastWordsMs + 100);
    await left;
    expect(one.said.at(-1)).toBe("worker leaves; 1 of its processes had not ended yet");
  });

  test("attempts that have no process are not counted", async () => {
    const one = worker(0);
    one.view = { ...one.view, live: [{ attempt: "a", run: "r", state: "accepted", pid: null }] };
    await leave(one.leaving, false);
    expect(one.said).toEqual(["worker leaves; none of its processes runs"]);
  });
});
