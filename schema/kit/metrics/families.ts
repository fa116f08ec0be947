/**
 * Counts and distributions that cost next to nothing where they are taken: a cell is found once and then only added to. The
 * library's own counters check and hash their labels at every call (0.1 to 0.2 µs, measured), which a hot path feels.
 */
import { metricLimits } from "../../limits/metrics.ts";

export type MetricType = "counter" | "gauge" | "histogram";

/** What one metric is, for the exposition and for docs/metrics.md. */
export interface MetricSpec {
  /** Prometheus' rules: a prefix, base units, `_total` at a counter's end. */
  readonly name: string;
  /** One sentence. */
  readonly help: string;
  readonly type: MetricType;
  readonly labels: readonly string[];
}

export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Of a histogram's samples. */
  readonly suffix?: "_bucket" | "_sum" | "_count";
}

export interface Family {
  readonly spec: MetricSpec;
  /** As they are now. */
  samples(): readonly Sample[];
}

type Told = Omit<MetricSpec, "type" | "labels">;

/** One count; it only rises. */
export class Count {
  value = 0;

  add(by = 1): void {
    this.value += by;
  }
}

/** How often values fell into each bucket, their sum and their number. */
export class Spread {
  /** Not cumulative; the last is what lies above every bound. */
  readonly counts: Float64Array;
  sum = 0;
  readonly #bounds: readonly number[];

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** A value that is no number is passed over, and one below 0 (a clock that was set back) counts as 0. */
  observe(value: number): void {
    if (Number.isNaN(value)) return;
    const seen = Math.max(0, value);
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && seen > (bounds[at] as number)) at += 1;
    this.counts[at] = (this.counts[at] as number) + 1;
    this.sum += seen;
  }
}

/** Cells by the values of their labels; at most `seriesPerMetric` of them, the rest share one cell whose labels are all `other`. */
class Cells<C> {
  readonly #make: () => C;
  readonly #labels: readonly string[];
  readonly #cells = new Map<string, { readonly labels: Readonly<Record<string, string>>; readonly cell: C }>();

  constructor(labels: readonly string[], make: () => C) {
    this.#labels = labels;
    this.#make = make;
  }

  get(values: readonly string[]): C {
    if (values.length !== this.#labels.length)
      throw new Error(`${values.length} values for the labels ${this.#labels.join(", ")}`);
    const key = values.join("\n");
    const known = this.#cells.get(key);
    if (known) return known.cell;
    if (this.#cells.size >= metricLimits.seriesPerMetric && values.some((value) => value !== "other"))
      return this.get(values.map(() => "other"));
    const labels = Object.fromEntries(this.#labels.map((name, at) => [name, values[at] as string]));
    const cell = this.#make();
    this.#cells.set(key, { labels, cell });
    return cell;
  }

  all(): Iterable<{ readonly labels: Readonly<Record<string, string>>; readonly cell: C }> {
    return this.#cells.values();
  }
}

/** A counter with labels, or (its only cell got without values) without. */
export class Counter implements Family {
  readonly spec: MetricSpec;
  readonly #cells: Cells<Count>;

  constructor(told: Told, labels: readonly string[] = []) {
    this.spec = { ...told, type: "counter", labels };
    this.#cells = new Cells(labels, () => new Count());
  }

  /** The cell with these values of the labels, in their order; made when it is new, and 0 until somebody adds. */
  cell(...values: readonly string[]): Count {
    return this.#cells.get(values);
  }

  samples(): readonly Sample[] {
    return Array.from(this.#cells.all(), ({ labels, cell }) => ({ labels, value: cell.value }));
  }
}

/** A histogram over bounds that rise. */
export class Histogram implements Family {
  readonly spec: MetricSpec;
  readonly #bounds: readonly number[];
  readonly #cells: Cells<Spread>;

  constructor(told: Told, bounds: readonly number[], labels: readonly string[] = []) {
    this.spec = { ...told, type: "histogram", labels };
    this.#bounds = bounds;
    this.#cells = new Cells(labels, () => new Spread(bounds));
  }

  cell(...values: readonly string[]): Spread {
    return this.#cells.get(values);
  }

  samples(): readonly Sample[] {
    const samples: Sample[] = [];
    for (const { labels, cell } of this.#cells.all()) {
      let below = 0;
      for (const [at, bound] of this.#bounds.entries()) {
        below += cell.counts[at] as number;
        samples.push({ labels: { le: bound, ...labels }, value: below, suffix: "_bucket" });
      }
      const count = below + (cell.counts[this.#bounds.length] as number);
      samples.push({ labels: { le: "+Inf", ...labels }, value: count, suffix: "_bucket" });
      samples.push({ labels, value: cell.sum, suffix: "_sum" }, { labels, value: count, suffix: "_count" });
    }
    return samples;
  }
}

/** Adds one sample; the labels' values in their order. */
export type Put = (value: number, ...values: readonly string[]) => void;

/** What is read where it lies, whenever somebody looks: a gauge, or a count that another part keeps. */
export function reading(spec: MetricSpec, read: (put: Put) => void): Family {
  return {
    spec,
    samples() {
      const samples: Sample[] = [];
      read((value, ...values) => {
        samples.push({ labels: Object.fromEntries(spec.labels.map((name, at) => [name, values[at] ?? ""])), value });
      });
      return samples;
    },
  };
}
