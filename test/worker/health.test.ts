import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { silentLog } from "../../schema/kit/log.ts";
import { timing } from "../../schema/limits.ts";
import { readStat } from "../../worker/process/proc.ts";
import { healthOf } from "../../worker/health.ts";
import { keepStateFile, stateFilePath, type AgentReport } from "../../worker/state-file.ts";

let folder: string;
let mono: number;
const clock = { now: () => ({ mono, wall: 1_000 }) };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "muster-health-"));
  mono = 50_000;
});

afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

function report(more: Partial<AgentReport> = {}): AgentReport {
  return {
    workerId: "edge-1",
    pool: "default",
    epoch: "e",
    pid: process.pid,
    startTicks: readStat(process.pid)?.startTicks ?? null,
    bootId: "boot",
    trouble: null,
    journalFull: null,
    spoolBytes: 0,
    counts: {},
    liveCount: 2,
    view: {
      connected: true,
      synced: true,
      draining: false,
      free: { slots: 8, memoryMb: 0, cpus: 0 },
      live: [],
      unackedReports: 0,
      refused: null,
      lastEnds: [],
    },
    ...more,
  };
}

function write(more: Partial<AgentReport> = {}): void {
  keepStateFile({ folder, report: () => report(more), clock, log: silentLog() })[Symbol.dispose]();
}

describe("healthOf", () => {
  test("an agent that runs and is synced is healthy", () => {
    write();
    expect(healthOf(folder, clock, "boot")).toEqual({
      ok: true,
      sentence: "worker edge-1 is in touch with its manager: live attempts 2, free slots 8",
    });
  });

  test.each<[string, Partial<AgentReport>, RegExp]>([
    ["a boot ago", { bootId: "earlier" }, /since this host's last boot/],
    ["another process under its pid", { startTicks: 1 }, /not running/],
    ["a full journal", { journalFull: "disk full" }, /journal cannot be written: disk full/],
    ["no broker", { trouble: "connection refused" }, /not connected to the broker: connection refused/],
    ["no sync yet", { view: { ...report().view, synced: false } }, /no manager has answered/],
    ["a refusal", { view: { ...report().view, refused: "duplicate worker id" } }, /refuses it: duplicate worker id/],
  ])("says what is wrong: %s", (_what, more, sentence) => {
    write(more);
    expect(healthOf(folder, clock, "boot")).toEqual({ ok: false, sentence: expect.stringMatching(sentence) });
  });

  test("a process that has ended is not running, also without its start time", async () => {
    const child = spawn("true");
    await once(child, "exit");
    write({ pid: child.pid ?? 0, startTicks: null });
    expect(healthOf(folder, clock, "boot")).toMatchObject({ ok: false, sentence: expect.stringMatching(/not running/) });
  });

  test("a state that is too old is that of an agent that hangs", () => {
    write();
    mono += 3 * timing.stateFileMs + 1;
    expect(healthOf(folder, clock, "boot")).toMatchObject({
      ok: false,
      sentence: expect.stringMatching(/written no state for 30 s/),
    });
  });

  test("nothing there, or half of it, is no agent", () => {
    expect(healthOf(folder, clock, "boot")).toMatchObject({ ok: false, sentence: expect.stringContaining("never started") });
    writeFileSync(stateFilePath(folder), '{"worker');
    expect(healthOf(folder, clock, "boot")).toMatchObject({ ok: false });
  });
});

describe("keepStateFile", () => {
  test("writes when something changed, else only now and then", () => {
    vi.useFakeTimers();
    let liveCount = 0;
    const writtenMono = (): number => JSON.parse(readFileSync(stateFilePath(folder), "utf8")).writtenMono as number;
    using _file = keepStateFile({ folder, report: () => report({ liveCount }), clock, log: silentLog() });
    const first = mono;
    mono += 1_000;
    vi.advanceTimersByTime(1_000);
    expect(writtenMono()).toBe(first);
    liveCount = 1;
    vi.advanceTimersByTime(1_000);
    expect(writtenMono()).toBe(mono);
    mono += timing.stateFileMs;
    vi.advanceTimersByTime(1_000);
    expect(writtenMono()).toBe(mono);
  });

  test("a folder that cannot be written does not end the agent", () => {
    const gone = join(folder, "gone");
    expect(() =>
      keepStateFile({ folder: gone, report: () => report(), clock, log: silentLog() })[Symbol.dispose](),
    ).not.toThrow();
  });
});
