import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Validator } from "@seriousme/openapi-schema-validator";
import asyncApiSchema from "@asyncapi/specs/schemas/3.0.0-without-$id.json" with { type: "json" };
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { routes } from "../../manager/api/routes.ts";
import { asyncApi } from "../../scripts/generate/asyncapi.ts";
import { openApi } from "../../scripts/generate/openapi.ts";
import { uplinkKinds } from "../../schema/topics.ts";

const read = (file: string): Promise<string> => readFile(join(import.meta.dirname, "../..", file), "utf8");

test.each([openApi, asyncApi])("$file is what the code says", async (generator) => {
  const text = await read(generator.file);
  expect(await generator.make(text)).toBe(text);
});

test("openapi.yaml is valid OpenAPI 3.1 and has every route, each with its own id, a permission and a summary", async () => {
  const document = parse(await read("openapi.yaml")) as {
    openapi: string;
    paths: Record<string, Record<string, Record<string, unknown>>>;
  };
  expect(document.openapi).toMatch(/^3\.1\./);
  const result = await new Validator().validate(structuredClone(document));
  expect(result.errors ?? []).toEqual([]);
  expect(result.valid).toBe(true);
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, it]) => ({ path, method, it })),
  );
  expect(operations.map(({ method, path }) => `${method} ${path}`).toSorted()).toEqual(
    routes.map(({ spec }) => `${spec.method} ${spec.path}`).toSorted(),
  );
  expect(new Set(operations.map(({ it }) => it["operationId"])).size).toBe(routes.length);
  for (const { it } of operations) {
    expect(it["x-permission"]).toBeTypeOf("string");
    expect(it["summary"]).toBeTypeOf("string");
  }
});

test("every reference of both documents leads somewhere", async () => {
  for (const file of ["openapi.yaml", "asyncapi.yaml"]) {
    const document: unknown = parse(await read(file));
    const refs = JSON.stringify(document).match(/"\$ref":"#\/[^"]+"/g) ?? [];
    expect(refs.length).toBeGreaterThan(10);
    for (const ref of new Set(refs)) {
      const parts = ref.slice('"$ref":"#/'.length, -1).split("/");
      const found = parts.reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], document);
      expect(found, `${file} ${ref}`).toBeDefined();
    }
  }
});

test("asyncapi.yaml is valid AsyncAPI 3.0 and has every topic", async () => {
  const document = parse(await read("asyncapi.yaml")) as { channels: Record<string, { address: string }> };
  const ajv = new Ajv({ strict: false, allErrors: true, logger: false });
  addFormats.default(ajv);
  const validate = ajv.compile(asyncApiSchema);
  validate(document);
  expect(validate.errors ?? []).toEqual([]);
  expect(Object.keys(document.channels).toSorted()).toEqual(["commands", ...uplinkKinds].toSorted());
  expect(document.channels["commands"]?.address).toBe("{prefix}/v1/{pool}/{worker}/down/commands");
});
