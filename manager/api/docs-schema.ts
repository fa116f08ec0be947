/** A JSON schema as a table of its fields. */
import { markup, prose, type Html } from "./html.ts";
import type { JsonObject } from "../../schema/kit/json-schema.ts";

/** What a field may be, in a few words: `string`, `list of string`, a name with a link. */
export function typeOf(schema: JsonObject): Html {
  const ref = schema["$ref"];
  if (typeof ref === "string") {
    const name = ref.split("/").at(-1) ?? ref;
    return markup`<a href="#schema-${name}">${name}</a>`;
  }
  const choices = (schema["anyOf"] ?? schema["oneOf"]) as readonly JsonObject[] | undefined;
  if (choices) return joined(choices.map(typeOf), " or ");
  if (schema["const"] !== undefined) return markup`<code>${JSON.stringify(schema["const"])}</code>`;
  const words = schema["enum"] as readonly unknown[] | undefined;
  if (words)
    return joined(
      words.map((word) => markup`<code>${String(word)}</code>`),
      " ",
    );
  const items = (schema["properties"] as Record<string, JsonObject> | undefined)?.["items"];
  if (items) return markup`page of ${typeOf((items["items"] ?? {}) as JsonObject)}`;
  const type = schema["type"];
  if (type === "array") return markup`list of ${typeOf((schema["items"] ?? {}) as JsonObject)}`;
  const values = schema["additionalProperties"];
  if (type === "object" && typeof values === "object" && values !== null) return markup`map of ${typeOf(values as JsonObject)}`;
  if (Array.isArray(type)) return markup`${type.join(" or ")}`;
  if (schema["format"] === "date-time") return markup`instant`;
  return markup`${typeof type === "string" ? type : "anything"}`;
}

function joined(parts: readonly Html[], between: string): Html {
  return markup`${parts.map((part, index) => (index === 0 ? part : markup`${between}${part}`))}`;
}

/** Bounds and default, after the description. */
function rest(schema: JsonObject): Html {
  const said: string[] = [];
  const bound = (key: string, words: (value: string) => string): void => {
    if (schema[key] !== undefined) said.push(words(JSON.stringify(schema[key])));
  };
  bound("minimum", (n) => `at least ${n}`);
  bound("exclusiveMinimum", (n) => `above ${n}`);
  bound("maximum", (n) => `at most ${n}`);
  bound("maxLength", (n) => `at most ${n} characters`);
  bound("maxItems", (n) => `at most ${n} entries`);
  if (schema["default"] !== undefined) said.push(`default ${JSON.stringify(schema["default"])}`);
  return said.length === 0 ? markup`` : markup`<span class="dim"> (${said.join(", ")})</span>`;
}

/** The fields of an object schema; for anything else its type in one line. */
export function schemaTable(schema: JsonObject): Html {
  const properties = schema["properties"] as Record<string, JsonObject> | undefined;
  if (!properties) return markup`<p>${typeOf(schema)}</p>`;
  const required = (schema["required"] ?? []) as readonly string[];
  const rows = Object.entries(properties).flatMap(([name, field]) => rowsOf(name, field, required.includes(name)));
  return markup`<div class="scroll"><table><thead><tr><th>Field</th><th>Type</th><th>Meaning</th></tr></thead><tbody>${rows}</tbody></table></div>`;
}

function rowsOf(name: string, field: JsonObject, required: boolean): Html[] {
  const description = typeof field["description"] === "string" ? prose(field["description"]) : markup``;
  const row = markup`<tr><td><code>${name}</code>${required ? markup` <span class="req" title="required">required</span>` : markup``}</td><td>${typeOf(field)}</td><td>${description}${rest(field)}</td></tr>`;
  const inner = field["properties"] as Record<string, JsonObject> | undefined;
  if (!inner) return [row];
  const needed = (field["required"] ?? []) as readonly string[];
  return [row, ...Object.entries(inner).flatMap(([key, value]) => rowsOf(`${name}.${key}`, value, needed.includes(key)))];
}

/** Parameters of an operation, as a table. */
export function parameterTable(parameters: readonly JsonObject[]): Html {
  const rows = parameters.map((parameter) => {
    const schema = (parameter["schema"] ?? {}) as JsonObject;
    const description = typeof parameter["description"] === "string" ? prose(parameter["description"]) : markup``;
    return markup`<tr><td><code>${String(parameter["name"])}</code>${parameter["required"] === true ? markup` <span class="req">required</span>` : markup``}</td><td>${String(parameter["in"])}</td><td>${typeOf(schema)}</td><td>${description}${rest(schema)}</td></tr>`;
  });
  return markup`<div class="scroll"><table><thead><tr><th>Parameter</th><th>In</th><th>Type</th><th>Meaning</th></tr></thead><tbody>${rows}</tbody></table></div>`;
}
