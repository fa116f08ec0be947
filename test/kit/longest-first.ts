/**
 * The order in which test files begin. The runner begins with the largest, having nothing better to go by in a fresh checkout; but
 * those that take longest here are small, and one that is begun last is waited for alone.
 */
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Ends of the names of files that take long for their size, the longest first. */
const longest: readonly string[] = [
  "test/simulation/planted.test.ts",
  "test/system/start.test.ts",
  "test/system/mariadb-failover.test.ts",
  "test/system/chaos-outages.test.ts",
  "test/system/worker-life.test.ts",
  "test/system/chaos-loads.test.ts",
  "test/system/managers.test.ts",
  "test/system/restored.test.ts",
  "test/system/bad-input-start.test.ts",
  "test/system/bad-input.test.ts",
  "test/broker/protocol.test.ts",
  "test/simulation/simulation.test.ts",
  "test/system/hosts.test.ts",
  "test/system/doctor.test.ts",
  "test/system/demo.test.ts",
  "test/system/shared-work.test.ts",
  "test/system/metrics.test.ts",
  "test/system/bench.test.ts",
  "test/system/crash-matrix.test.ts",
];

export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const place = ({ moduleId }: TestSpecification): number => {
      const at = longest.findIndex((name) => moduleId.endsWith(name));
      return at < 0 ? longest.length : at;
    };
    const group = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;
    return sorted.toSorted((a, b) => group(a) - group(b) || place(a) - place(b));
  }
}
