import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

/** As much of a compose file as ours uses. */
export interface ComposeService {
  readonly image: string;
  readonly build?: string;
  readonly user?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

export interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, null>>;
}

export function readCompose(root: string): Compose {
  return parse(readFileSync(join(root, "compose.yaml"), "utf8")) as Compose;
}

/** A text of the file with its variables filled in. */
export function filled(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\{(\w+):\?[^}]*\}/g, (_all, variable: string) => values[variable] ?? "");
}
