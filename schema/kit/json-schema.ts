/** zod schemas as JSON Schema 2020-12, which is what OpenAPI 3.1 and AsyncAPI 3.0 speak. */
import * as z from "zod";

export type JsonObject = Record<string, unknown>;

/**
 * Converts schemas one by one and gathers those that have a name (`named`) as components. One converter is one document.
 * `input` is what may be sent (defaults may be left out), `output` what is given.
 */
export interface Converter {
  convert(schema: z.ZodType, io: "input" | "output"): JsonObject;
  /** The named schemas that were met, by name. */
  readonly components: Readonly<Record<string, JsonObject>>;
}

/** Names schemas for every document that meets them. */
export function named(names: Readonly<Record<string, z.ZodType>>): void {
  for (const [id, schema] of Object.entries(names)) z.globalRegistry.add(schema, { ...z.globalRegistry.get(schema), id });
}

/**
 * A converter whose references begin with `prefix`, such as `#/components/schemas/`. A named schema in its input form is
 * called by its name and `inputSuffix`, because one document may hold both forms of it.
 */
export function makeConverter(prefix: string, inputSuffix = "Input"): Converter {
  const components: Record<string, JsonObject> = {};
  return {
    components,
    convert(schema, io) {
      // Inside a list the schema is met like any other, so that a named one becomes a reference here too.
      const made = z.toJSONSchema(z.array(schema), { io, target: "draft-2020-12", override: tidy }) as JsonObject;
      const nameOf = (name: string): string => (io === "input" && !name.endsWith(inputSuffix) ? `${name}${inputSuffix}` : name);
      const settle = (value: unknown): unknown => rewrite(value, (name) => `${prefix}${nameOf(name)}`);
      const defs = (made["$defs"] ?? {}) as Record<string, JsonObject>;
      for (const [name, { id: _, ...def }] of Object.entries(defs))
        if (!isNameless(name)) components[nameOf(name)] = settle(def) as JsonObject;
      return settle(made["items"]) as JsonObject;
    },
  };
}

/** Leaves out what says nothing to a reader, and puts in what a schema wants to be shown as. */
function tidy(context: { readonly zodSchema: z.core.$ZodTypes; readonly jsonSchema: JsonObject }): void {
  const { zodSchema, jsonSchema } = context;
  const shown = z.globalRegistry.get(zodSchema)?.["shown"];
  if (shown !== undefined) {
    for (const key of Object.keys(jsonSchema)) if (key !== "description") delete jsonSchema[key];
    Object.assign(jsonSchema, shown);
  }
  if (jsonSchema["maximum"] === Number.MAX_SAFE_INTEGER) delete jsonSchema["maximum"];
  if (jsonSchema["minimum"] === Number.MIN_SAFE_INTEGER) delete jsonSchema["minimum"];
  if (jsonSchema["format"] !== undefined) delete jsonSchema["pattern"];
  delete jsonSchema["contentEncoding"];
}

/** zod's own names are for what refers to itself: with us only `z.json()`, that is anything. */
function isNameless(name: string): boolean {
  return name.startsWith("__schema");
}

function rewrite(value: unknown, refOf: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => rewrite(item, refOf));
  if (typeof value !== "object" || value === null) return value;
  const ref = (value as JsonObject)["$ref"];
  if (typeof ref === "string") {
    const name = ref.slice("#/$defs/".length);
    if (isNameless(name)) return {};
    const { $ref: _, ...beside } = value as JsonObject;
    return { ...beside, $ref: refOf(name) };
  }
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, rewrite(inner, refOf)]));
}
