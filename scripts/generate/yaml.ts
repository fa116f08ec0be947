import { stringify } from "yaml";

/** A document as YAML that says where it comes from. Long texts are folded, nothing is abbreviated by anchors. */
export function yamlOf(document: unknown, source: string): string {
  return `# Made from ${source} by \`npm run generate\`. Do not edit.\n${stringify(document, { lineWidth: 120, aliasDuplicateObjects: false })}`;
}
