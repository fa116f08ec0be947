/** What the benchmarks measure, and what may be said of it: medians, spread, the ratio to a peer of the same run, an aim. */

export const letters = ["a", "b", "c", "d", "e", "f", "g"] as const;
export type Letter = (typeof letters)[number];

/** `atLeast` and `atMost` are about the median, `ratioAtMost` about the ratio to the row named by `peer`. */
export type Aim = { readonly atLeast: number } | { readonly atMost: number } | { readonly ratioAtMost: number };

/** One value of one round. */
export interface Measure {
  /** The row: unique in its section. */
  readonly what: string;
  readonly unit: string;
  readonly better: "higher" | "lower";
  readonly value: number;
  /** `what` of a row of the same section, measured in the same run, to compare with. */
  readonly peer?: string;
  readonly aim?: Aim;
  readonly note?: string;
  /** User and system time from /proc, microseconds for each unit of work (run, job, process), by part of the system. */
  readonly cpu?: Readonly<Record<string, number>>;
}

/** A row: the measures of all rounds. */
export interface Figure extends Omit<Measure, "value" | "cpu"> {
  readonly section: Letter;
  readonly samples: readonly number[];
  readonly cpu: Readonly<Record<string, readonly number[]>>;
  /** Why nothing was measured; then there are no samples. */
  readonly missing?: string;
  /** What went wrong in a round; a figure with this is no figure. */
  readonly failed?: string;
}

/** The middle value, or the mean of the two middle ones. NaN of nothing. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The value that `share` (0 to 1) of the values do not pass: nearest rank. NaN of nothing. */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]!;
}

/** The figure's median against that of its peer; undefined when either is missing. */
export function ratioToPeer(figure: Figure, figures: readonly Figure[]): number | undefined {
  if (figure.peer === undefined) return undefined;
  const peer = figures.find(({ section, what }) => section === figure.section && what === figure.peer);
  if (!peer) return undefined;
  const ratio = median(figure.samples) / median(peer.samples);
  return Number.isFinite(ratio) ? ratio : undefined;
}

/** Whether the aim is met; undefined without an aim, or when there is nothing to judge. */
export function aimMet(figure: Figure, figures: readonly Figure[]): boolean | undefined {
  const { aim } = figure;
  if (aim === undefined || figure.samples.length === 0) return undefined;
  if ("atLeast" in aim) return median(figure.samples) >= aim.atLeast;
  if ("atMost" in aim) return median(figure.samples) <= aim.atMost;
  const ratio = ratioToPeer(figure, figures);
  return ratio === undefined ? undefined : ratio <= aim.ratioAtMost;
}

/** Gathers the measures of the rounds into rows, in the order in which they first came. */
export function toFigures(section: Letter, rounds: readonly (readonly Measure[])[]): Figure[] {
  const rows = new Map<string, { first: Measure; samples: number[]; cpu: Record<string, number[]> }>();
  for (const measure of rounds.flat()) {
    if (!Number.isFinite(measure.value)) throw new Error(`(${section}) ${measure.what} is not a number: ${measure.value}`);
    const row = rows.get(measure.what) ?? { first: measure, samples: [], cpu: {} };
    rows.set(measure.what, row);
    row.samples.push(measure.value);
    for (const [part, value] of Object.entries(measure.cpu ?? {})) (row.cpu[part] ??= []).push(value);
  }
  return [...rows.values()].map(({ first, samples, cpu }) => {
    const { value: _, cpu: __, ...rest } = first;
    return { section, ...rest, samples, cpu };
  });
}
