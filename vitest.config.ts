import { defineConfig } from "vitest/config";
import LongestFirst from "./test/kit/longest-first.ts";

export default defineConfig({
  test: {
    reporters: ["default", "./test/kit/reporter.ts"],
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: "unit",
          globalSetup: ["./test/kit/packages.ts"],
          include: ["test/**/*.test.ts"],
          exclude: ["test/system/**", "test/project/fixtures/**"],
          testTimeout: 20_000,
          hookTimeout: 20_000,
          pool: "forks",
          // Twice as many as the cores of a small machine: those of the process host and of the brokers mostly wait.
          maxWorkers: 4,
          // Files share a process: loading the libraries anew for each file would be most of the time.
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "system",
          globalSetup: ["./test/kit/packages.ts"],
          include: ["test/system/**/*.test.ts"],
          testTimeout: 240_000,
          hookTimeout: 60_000,
          pool: "forks",
          // After the quick ones. They wait for processes and heartbeats more than they work: two at a time leave most of two cores idle, four a quarter of them.
          maxWorkers: 6,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
