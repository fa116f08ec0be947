/** Holds answers against the OpenAPI document. */
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect } from "vitest";
import { openApiDocument } from "../../../manager/api/openapi.ts";
import { routes } from "../../../manager/api/routes.ts";

export const document = openApiDocument(routes, "0.0.0-test");

const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { base64: true } });
addFormats.default(ajv);
ajv.addSchema({ $id: "doc", ...document });
const validators = new Map<string, ReturnType<typeof ajv.compile>>();
const pathsOf = document["paths"] as Record<
  string,
  Record<string, { responses: Record<string, { content?: Record<string, unknown> }> }>
>;

/** Fails unless the document knows the operation, the status and the content of the answer. */
export async function checkAnswer(method: string, address: string, response: Response): Promise<void> {
  const path = address.split("?", 1)[0] as string;
  const pattern = Object.keys(pathsOf).find(
    (p) =>
      new RegExp(`^${p.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(path) &&
      pathsOf[p]?.[method === "HEAD" ? "get" : method.toLowerCase()],
  );
  if (pattern === undefined || method === "HEAD") return;
  const key = method.toLowerCase();
  const answer = pathsOf[pattern]?.[key]?.responses[String(response.status)];
  expect(
    answer,
    `${method} ${pattern} does not document ${response.status}: ${response.status >= 400 ? await response.clone().text() : ""}`,
  ).toBeDefined();
  const type = response.headers.get("content-type")?.split(";", 1)[0];
  if (type === undefined || type === null) return expect(answer?.content).toBeUndefined();
  expect(Object.keys(answer?.content ?? {}), `${method} ${pattern} ${response.status}`).toContain(type);
  if (!type.endsWith("json") || type === "application/x-ndjson") return;
  const pointer = ["paths", pattern, key, "responses", String(response.status), "content", type, "schema"].map((part) =>
    part.replaceAll("~", "~0").replaceAll("/", "~1"),
  );
  const ref = `doc#/${pointer.map(encodeURIComponent).join("/")}`;
  const validate = validators.get(ref) ?? ajv.compile({ $ref: ref });
  validators.set(ref, validate);
  const body: unknown = await response.clone().json();
  expect(
    validate(body),
    `${method} ${pattern} ${response.status}: ${ajv.errorsText(validate.errors)} ${JSON.stringify(validate.errors?.map((e) => e.params))}`,
  ).toBe(true);
}
