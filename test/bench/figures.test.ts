import { describe, expect, test } from "vitest";
import { checkRuns } from "../../bench/kit/count.ts";
import type { Database } from "../../bench/kit/database.ts";
import { aimMet, median, percentile, ratioToPeer, toFigures, type Measure } from "../../bench/kit/figure.ts";
import { runSection, type Plan, type Section, type Variant } from "../../bench/kit/section.ts";
import { pageOf, partsOf } from "../../bench/kit/report.ts";
import { amount, markdownTable, textTable } from "../../bench/kit/table.ts";

const plan: Plan = { rounds: 3, quick: true, say: () => undefined };

function section(variants: readonly Variant[]): Section {
  return { letter: "a", title: "a test", about: "", variants: () => Promise.resolve(variants) };
}

function measure(what: string, value: number, more: Partial<Measure> = {}): Measure {
  return { what, unit: "runs/s", better: "higher", value, ...more };
}

describe("figures", () => {
  test("medians, percentiles, ratios and aims are what they are called", () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), percentile([5, 1, 2, 3, 4], 0.99), percentile([1, 2, 3, 4], 0.5)]).toEqual([
      2, 2.5, 5, 2,
    ]);
    const figures = toFigures("a", [
      [measure("ours", 90, { peer: "theirs", aim: { atLeast: 100 } }), measure("theirs", 50)],
      [measure("ours", 110), measure("theirs", 40)],
      [measure("ours", 120), measure("theirs", 55)],
    ]);
    const [ours, theirs] = figures as [(typeof figures)[0], (typeof figures)[0]];
    expect([ours.samples, ratioToPeer(ours, figures), aimMet(ours, figures)]).toEqual([[90, 110, 120], 2.2, true]);
    expect(ratioToPeer(theirs, figures)).toBeUndefined();
    const flat = { ...theirs, peer: "ours", aim: { ratioAtMost: 0.4 } };
    expect(aimMet(flat, [ours, flat])).toBe(false);
    expect(aimMet({ ...flat, samples: [] }, [ours])).toBeUndefined();
    expect(() => toFigures("a", [[measure("ours", Number.NaN)]])).toThrow("not a number");
  });

  test("amounts have three figures that count", () => {
    expect([0, 0.0312, 4.712, 38.16, 912.4, 14_312].map(amount)).toEqual(["0", "0.0312", "4.71", "38.2", "912", "14,300"]);
  });

  test("variants take turns, and the table shows every row, what is missing and what failed", async () => {
    const order: string[] = [];
    const variant = (name: string, more: Partial<Variant> = {}): Variant => ({
      name,
      round: (round) => {
        order.push(`${name}${round}`);
        return Promise.resolve([measure(name, round + 1, { cpu: { manager: 10 } })]);
      },
      ...more,
    });
    let closed = 0;
    const close = (): Promise<void> => Promise.resolve(void (closed += 1));
    const broken = (round: number): Promise<never> => Promise.reject(new Error(`round ${round} lost a run`));
    const figures = await runSection(
      section([
        variant("x"),
        variant("y", { close }),
        variant("z", { missing: "no such program" }),
        variant("w", { round: broken }),
      ]),
      plan,
    );
    expect(order).toEqual(["x0", "y0", "y1", "x1", "x2", "y2"]);
    expect(closed).toBe(1);
    expect(figures.map(({ samples, missing, failed }) => ({ samples, missing, failed }))).toEqual([
      { samples: [1, 2, 3], missing: undefined, failed: undefined },
      { samples: [1, 2, 3], missing: undefined, failed: undefined },
      { samples: [], missing: "no such program", failed: undefined },
      { samples: [], missing: undefined, failed: "round 0 lost a run" },
    ]);
    for (const table of [textTable(figures), markdownTable(figures, figures)]) {
      expect(table).toMatch(/x .*2 runs\/s .*1 to 3 .*manager 10/);
      expect(table).toMatch(/z .*not measured: no such program/);
      expect(table).toMatch(/w .*FAILED: round 0 lost a run/);
    }
  });
});

describe("the page", () => {
  const host = { date: "2026-11-21", cores: 2, syncMs: 0.1, load: 0.2, versions: {}, line: "2026-11-21: two cores" };

  test("has what was measured now, and keeps what was measured before", () => {
    const first = { ...section([]), title: "Starts" };
    const second = { ...section([]), letter: "c" as const, title: "Processes" };
    const before = pageOf(
      host,
      [first, second],
      [...toFigures("a", [[measure("x", 1)]]), ...toFigures("c", [[measure("y", 2)]])],
      new Map(),
    );
    const after = pageOf(
      { ...host, line: "2027-01-01: four cores" },
      [first],
      toFigures("a", [[measure("x", 7)]]),
      partsOf(before),
    );
    expect(after).toMatch(
      /^# Performance[^]*## \(a\) Starts[^]*four cores[^]*x [^]*7 runs[^]*## \(c\) Processes[^]*two cores[^]*y [^]*2 runs/,
    );
    expect(after).not.toContain("| x | 1 runs");
    expect(after).not.toContain("busy");
    expect(pageOf({ ...host, load: 3 }, [first], [], new Map())).toContain(
      "busy with other work when this began (load 3.0 on 2 cores)",
    );
    expect(pageOf(host, [], [], partsOf(after))).toBe(after);
  });
});

describe("the count in the database", () => {
  /** A database that answers each of the count's questions with `n` of what should be there. */
  function holding(n: {
    readonly runs: number;
    readonly attempts: number;
    readonly events: number;
    readonly stuck?: number;
  }): Database {
    const answer = (sql: string): readonly Record<string, string | number>[] => {
      if (sql.includes("FROM events"))
        return ["runQueued", "attemptSent", "attemptEnded", "runEnded"].map((k) => ({ k, n: n.events }));
      if (sql.includes("FROM attempts")) return [{ n: n.attempts }];
      if (sql.includes("GROUP BY state"))
        return [{ k: "succeeded", n: n.runs }, ...(n.stuck ? [{ k: "running", n: n.stuck }] : [])];
      return [{ n: n.runs }];
    };
    return { rows: (sql: string) => Promise.resolve(answer(sql)) } as unknown as Database;
  }

  test("passes when every run is whole, and fails for each thing that is not", async () => {
    await checkRuns(holding({ runs: 5, attempts: 5, events: 5 }), 5);
    await expect(checkRuns(holding({ runs: 4, attempts: 5, events: 5 }), 5)).rejects.toThrow("4 runs that succeeded");
    await expect(checkRuns(holding({ runs: 5, attempts: 4, events: 5 }), 5)).rejects.toThrow("4 attempts with an end");
    await expect(checkRuns(holding({ runs: 5, attempts: 5, events: 4 }), 5)).rejects.toThrow("4 events runEnded");
    await expect(checkRuns(holding({ runs: 5, attempts: 5, events: 5, stuck: 1 }), 5)).rejects.toThrow("1 running");
  });
});
