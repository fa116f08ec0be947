/** The document of the API, as data and as a page that needs nothing from anywhere else. */
import * as z from "zod";
import { openApiDocument } from "./openapi.ts";
import { pageCsp, renderDocs } from "./docs-page.ts";
import type { ApiParts } from "./deps.ts";
import { route, type AnyRoute } from "./route.ts";

const tag = "docs";

/** Both are made once per version: the routes do not change while a manager runs. */
const made = new Map<string, { readonly document: string; readonly page: string }>();
function makeOnce({ version, routes }: ApiParts): { readonly document: string; readonly page: string } {
  const known = made.get(version);
  if (known) return known;
  const document = openApiDocument(routes, version);
  const fresh = { document: JSON.stringify(document), page: renderDocs(document) };
  made.set(version, fresh);
  return fresh;
}

const getDocument = route(
  {
    method: "get",
    path: "/openapi.json",
    operationId: "getOpenApi",
    tag,
    summary: "This document",
    permission: "open",
    replies: { 200: { description: "OpenAPI 3.1", content: { "application/json": z.looseObject({}) } } },
    problems: [],
  },
  ({ parts }) => ({
    status: 200,
    body: makeOnce(parts).document,
    headers: { "content-type": "application/json", "cache-control": "no-cache" },
  }),
);

const getPage = route(
  {
    method: "get",
    path: "/docs",
    operationId: "getDocs",
    tag,
    summary: "This document as a page",
    permission: "open",
    replies: { 200: { description: "HTML", content: { "text/html": "the page" } } },
    problems: [],
  },
  ({ parts }) => ({
    status: 200,
    body: makeOnce(parts).page,
    headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": pageCsp, "cache-control": "no-cache" },
  }),
);

export const docsRoutes: readonly AnyRoute[] = [getDocument, getPage];
