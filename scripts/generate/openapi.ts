import { openApiDocument } from "../../manager/api/openapi.ts";
import { routes } from "../../manager/api/routes.ts";
import packageJson from "../../package.json" with { type: "json" };
import type { Generator } from "./generator.ts";
import { yamlOf } from "./yaml.ts";

/** openapi.yaml: the routes. */
export const openApi: Generator = {
  file: "openapi.yaml",
  make: () => yamlOf(openApiDocument(routes, packageJson.version), "the routes in manager/api"),
};
