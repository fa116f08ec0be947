/** A section is one question of the benchmarks; its variants are measured in turns, so that noise hits all of them alike. */
import { toFigures, type Figure, type Letter, type Measure } from "./figure.ts";

/** What the command line asked for. */
export interface Plan {
  readonly rounds: number;
  /** Small amounts: shows that everything works, and no figure of it means anything. */
  readonly quick: boolean;
  /** Where Muster's processes leave a CPU profile; undefined: none is taken. */
  readonly profileDir?: string;
  /** Only variants whose name holds this text. */
  readonly only?: string;
  /** Tells whoever waits what is being done. */
  readonly say: (line: string) => void;
}

export interface Variant {
  readonly name: string;
  /** Why it cannot be measured here: its row says so. */
  readonly missing?: string;
  /** One round: sets up, warms up, measures, checks what came of it and takes everything down. Rejects on any mismatch. */
  readonly round: (round: number) => Promise<readonly Measure[]>;
  /** Takes down what rounds share; called once after the last. */
  readonly close?: () => Promise<void>;
}

export interface Section {
  readonly letter: Letter;
  readonly title: string;
  /** How it is measured, for docs/performance.md. */
  readonly about: string;
  /** Runs only when it is named: it takes minutes. */
  readonly optIn?: boolean;
  readonly variants: (plan: Plan) => Promise<readonly Variant[]>;
}

/** Measures a section: round by round, in each of them every variant once, in a turning order. Never rejects: a failure is in its row. */
export async function runSection(section: Section, plan: Plan): Promise<Figure[]> {
  const { letter } = section;
  plan.say(`(${letter}) ${section.title}`);
  const all = await section.variants(plan);
  const variants = all.filter(({ name }) => plan.only === undefined || name.includes(plan.only));
  const measured = new Map<Variant, (readonly Measure[])[]>(variants.map((variant) => [variant, []]));
  const failed = new Map<Variant, string>();
  for (let round = 0; round < plan.rounds; round += 1) {
    for (let at = 0; at < variants.length; at += 1) {
      const variant = variants[(at + round) % variants.length]!;
      if (variant.missing !== undefined || failed.has(variant)) continue;
      try {
        const measures = await variant.round(round);
        measured.get(variant)?.push(measures);
        plan.say(`(${letter}) round ${round + 1} of ${plan.rounds}, ${variant.name}: ${measures.map(short).join(", ")}`);
      } catch (error) {
        failed.set(variant, sentence(error));
        plan.say(`(${letter}) FAILED, ${variant.name}: ${error instanceof Error ? error.stack : String(error)}`);
      }
    }
  }
  for (const variant of variants) await variant.close?.();
  return variants.flatMap((variant) => figuresOf(letter, variant, measured.get(variant) ?? [], failed.get(variant)));
}

function figuresOf(
  section: Letter,
  variant: Variant,
  rounds: readonly (readonly Measure[])[],
  failed: string | undefined,
): readonly Figure[] {
  const empty = { section, what: variant.name, unit: "", better: "higher", samples: [], cpu: {} } as const;
  if (variant.missing !== undefined) return [{ ...empty, missing: variant.missing }];
  if (failed !== undefined) return [{ ...empty, failed }];
  return toFigures(section, rounds);
}

function short({ what, value, unit }: Measure): string {
  return `${what} ${value < 100 ? value.toPrecision(3) : Math.round(value)} ${unit}`;
}

function sentence(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!.slice(0, 300);
}
