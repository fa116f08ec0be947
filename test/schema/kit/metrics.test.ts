import { expect, test } from "vitest";
import { expose } from "../../../schema/kit/metrics/exposition.ts";
import { Counter, Histogram, reading } from "../../../schema/kit/metrics/families.ts";
import { firstFormat } from "../../../schema/kit/metrics/formats.ts";
import { metricLimits } from "../../../schema/limits/metrics.ts";

const told = (name: string): { name: string; help: string } => ({ name, help: "What it is." });

test("a histogram's buckets are cumulative, hold their upper bound, and a value below 0 counts as 0", () => {
  const family = new Histogram(told("t_seconds"), [0.1, 1]);
  const cell = family.cell();
  for (const value of [0.1, 0.100_001, 1, 7, -3, Number.NaN]) cell.observe(value);
  const of = (suffix: string, le?: number | string) =>
    family.samples().find((sample) => sample.suffix === suffix && sample.labels["le"] === le)?.value;
  expect([of("_bucket", 0.1), of("_bucket", 1), of("_bucket", "+Inf"), of("_count")]).toEqual([2, 4, 5, 5]);
  expect(of("_sum")).toBeCloseTo(8.200_001);
});

test("a cell is the same one for the same values of the labels; what is too many shares one", () => {
  const family = new Counter(told("t_total"), ["what"]);
  family.cell("a").add();
  family.cell("a").add(2);
  expect(family.samples()).toEqual([{ labels: { what: "a" }, value: 3 }]);
  for (let n = 1; n < metricLimits.seriesPerMetric + 10; n += 1) family.cell(`n${n}`).add();
  expect(family.samples()).toHaveLength(metricLimits.seriesPerMetric + 1);
  expect(family.samples().at(-1)).toEqual({ labels: { what: "other" }, value: 10 });
  expect(() => family.cell()).toThrow("0 values for the labels what");
});

test("the same metrics in both formats, in any order: a counter keeps its name in the one, and has it as a suffix in the other", async () => {
  const counter = new Counter(told("t_things_total"), ["what"]);
  counter.cell('a "quoted"\\\nword').add(5);
  const gauge = reading({ ...told("t_now"), type: "gauge", labels: ["pool"] }, (put) => put(2.5, "p"));
  const exposition = expose([counter, gauge, new Histogram(told("t_seconds"), [1])]);
  const plain = await exposition.text("text/plain");
  const open = await exposition.text("application/openmetrics-text");
  expect(plain.contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(open.contentType).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8");
  const line = 't_things_total{what="a \\"quoted\\"\\\\\\nword"} 5\n';
  expect(plain.body).toContain(`# HELP t_things_total What it is.\n# TYPE t_things_total counter\n${line}`);
  expect(open.body).toContain(`# HELP t_things What it is.\n# TYPE t_things counter\n${line}`);
  expect(open.body).toMatch(/\n# EOF\n$/);
  expect(open.body).not.toContain("\n\n");
  for (const { body } of [plain, open]) {
    expect(body).toContain('t_now{pool="p"} 2.5\n');
    expect(body).toContain("process_cpu_seconds_total ");
    expect(body).not.toMatch(/^nodejs_\w+_total /m);
  }
  const ours = (text: string): string[] => text.split("\n").filter((each) => /\bt_/.test(each));
  expect(ours((await exposition.text("text/plain")).body)).toEqual(ours(plain.body));
});

test.each([
  [undefined, "text/plain"],
  ["*/*", "text/plain"],
  ["application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "application/openmetrics-text"],
  ["text/plain;version=0.0.4, application/openmetrics-text", "text/plain"],
])("Accept: %s gets %s", (accept, format) => expect(firstFormat(accept)).toBe(format));
