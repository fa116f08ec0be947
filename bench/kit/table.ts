/** Figures as a table, for the terminal and for docs/performance.md. */
import { aimMet, median, ratioToPeer, type Aim, type Figure } from "./figure.ts";

const head = ["", "what", "median", "lowest to highest", "rounds", "against", "aim", "CPU, µs for each", "note"] as const;

/** Every figure as the cells of one row. */
function cells(figure: Figure, figures: readonly Figure[]): string[] {
  const { section, what, unit, samples, note } = figure;
  if (samples.length === 0) {
    const why = figure.failed === undefined ? `not measured: ${figure.missing}` : `FAILED: ${figure.failed}`;
    return [section, what, "–", "", "0", "", "", "", why];
  }
  const ratio = ratioToPeer(figure, figures);
  return [
    section,
    what,
    `${amount(median(samples))} ${unit}`,
    samples.length === 1 ? "" : `${amount(Math.min(...samples))} to ${amount(Math.max(...samples))}`,
    String(samples.length),
    ratio === undefined ? "" : `${ratio.toFixed(2)} × ${figure.peer}`,
    figure.aim === undefined ? "" : `${aimText(figure.aim, unit)}: ${verdict(aimMet(figure, figures))}`,
    cpuText(figure),
    note ?? "",
  ];
}

/** Each part, and all of them together: cores × 1,000,000 / that is what the machine could do at the most. */
function cpuText({ cpu }: Figure): string {
  const parts = Object.entries(cpu).map(([part, values]) => [part, median(values)] as const);
  const text = parts.map(([part, value]) => `${part} ${amount(value)}`).join(", ");
  return parts.length < 2 ? text : `${text}; all ${amount(parts.reduce((sum, [, value]) => sum + value, 0))}`;
}

function verdict(met: boolean | undefined): string {
  if (met === undefined) return "not judged";
  return met ? "met" : "NOT MET";
}

function aimText(aim: Aim, unit: string): string {
  if ("atLeast" in aim) return `≥ ${amount(aim.atLeast)} ${unit}`;
  if ("atMost" in aim) return `≤ ${amount(aim.atMost)} ${unit}`;
  return `≤ ${aim.ratioAtMost} ×`;
}

/** Three figures that count, and no more digits than that: 0.0312, 4.71, 38.2, 912, 14,300. */
export function amount(value: number): string {
  if (value === 0) return "0";
  const rounded = Number(value.toPrecision(3));
  return Math.abs(rounded) >= 100 ? Math.round(rounded).toLocaleString("en-US") : String(rounded);
}

/** Columns padded with spaces; columns in which every row is empty are left out. */
export function textTable(figures: readonly Figure[]): string {
  const rows = [[...head], ...figures.map((figure) => cells(figure, figures))];
  const used = head.map((_, column) => rows.slice(1).some((row) => row[column] !== ""));
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell + " ".repeat(widths[column]! - cell.length))
        .filter((_, column) => used[column])
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A Markdown table of the figures of one section. */
export function markdownTable(figures: readonly Figure[], all: readonly Figure[]): string {
  const rows = figures.map((figure) => cells(figure, all).slice(1));
  const names = head.slice(1);
  const used = names.map((_, column) => rows.some((row) => row[column] !== ""));
  const line = (row: readonly string[]): string =>
    `| ${row
      .filter((_, column) => used[column])
      .map((cell) => cell.replaceAll("|", "\\|"))
      .join(" | ")} |`;
  return [line(names), line(names.map(() => "---")), ...rows.map(line)].join("\n");
}
