import { flagOf, isReadBy, type Key, type Reader } from "./key.ts";
import { keys } from "./keys.ts";
import type { Switch } from "./layers.ts";
import { commandOf } from "../../command.ts";

/** What a key is without a value: its default, or what then happens. */
export function defaultOf(key: Key): string {
  if (key.byDefault === null) return key.defaultText ?? "none";
  if (typeof key.byDefault === "boolean") return key.byDefault ? "yes" : "no";
  if (typeof key.byDefault === "string" || typeof key.byDefault === "number") return String(key.byDefault);
  return Array.isArray(key.byDefault) ? key.byDefault.join(",") || "none" : "none";
}

/** What `--help` prints for a reader. */
export function helpText(reader: Reader, switches: readonly Switch[]): string {
  const lines = [
    `Usage: ${commandOf(reader, "[flags]")}`,
    "",
    "Flags go before the environment, the environment before muster.yaml. A secret may be a file: <NAME>_FILE.",
    "",
  ];
  for (const one of switches) lines.push(`  --${one.flag}`, `      ${one.sentence}`);
  for (const key of Object.values<Key>(keys).filter((one) => isReadBy(one, reader))) {
    lines.push(
      `  --${flagOf(key)}  ${key.env}`,
      `      ${key.sentence} Takes ${key.kind.allowed}. Default: ${defaultOf(key).replaceAll("`", "")}.`,
    );
  }
  return lines.join("\n");
}
