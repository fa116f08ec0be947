/** The documentation page, made from the OpenAPI document. One file, no assets, nothing from anywhere else. */
import { createHash } from "node:crypto";
import { parameterTable, schemaTable, typeOf } from "./docs-schema.ts";
import { behaviour, style } from "./docs-style.ts";
import { Html, markup, prose } from "./html.ts";
import type { JsonObject } from "../../schema/kit/json-schema.ts";

const sourceOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Only the style and the script that stand in the page may take effect, by their digests. */
export const pageCsp = `default-src 'none'; style-src ${sourceOf(style)}; script-src ${sourceOf(behaviour)}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`;

interface Operation {
  readonly path: string;
  readonly method: string;
  readonly it: JsonObject;
}

/** The page as HTML text. */
export function renderDocs(document: JsonObject): string {
  const info = document["info"] as { title: string; version: string; description: string };
  const tags = document["tags"] as readonly { name: string; description: string }[];
  const operations: Operation[] = Object.entries(document["paths"] as Record<string, Record<string, JsonObject>>).flatMap(
    ([path, methods]) => Object.entries(methods).map(([method, it]) => ({ path, method, it })),
  );
  const of = (tag: string): Operation[] => operations.filter(({ it }) => (it["tags"] as readonly string[]).includes(tag));
  const schemas = Object.entries((document["components"] as { schemas: Record<string, JsonObject> }).schemas);
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${info.title} API</title>
<style>${new Html(style)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<nav aria-label="Operations">
<h1>${info.title} API</h1>
<div class="version">${info.version} · <a href="/openapi.json">openapi.json</a></div>
<input id="filter" type="search" placeholder="Filter" aria-label="Filter operations">
${tags.map(({ name }) => markup`<section><h2>${name}</h2><ul>${of(name).map(navItem)}</ul></section>`)}
<section><h2>Schemas</h2><ul>${schemas.map(([name]) => markup`<li data-words="${name.toLowerCase()}"><a href="#schema-${name}">${name}</a></li>`)}</ul></section>
</nav>
<main id="main">
<p>${prose(info.description)} Send a token as <code>Authorization: Bearer &lt;token&gt;</code>.</p>
${tags.map(({ name, description }) => markup`<h2 id="tag-${name}">${name}</h2><p>${prose(description)}</p>${of(name).map(operationHtml)}`)}
<h2 id="schemas">Schemas</h2>
${schemas.map(([name, schema]) => markup`<article class="op" id="schema-${name}"><header><h3>${name}</h3></header><div class="in">${schemaTable(schema)}</div></article>`)}
</main>
<script>${new Html(behaviour)}</script>
</body>
</html>
`.text;
}

function navItem({ path, method, it }: Operation): Html {
  const words = `${method} ${path} ${String(it["summary"])} ${String(it["operationId"])}`.toLowerCase();
  return markup`<li data-words="${words}"><a href="#${String(it["operationId"])}" title="${String(it["summary"])}"><span class="m ${method}">${method}</span><span class="path">${path}</span></a></li>`;
}

function operationHtml({ path, method, it }: Operation): Html {
  const permission = String(it["x-permission"]);
  const parameters = (it["parameters"] ?? []) as readonly JsonObject[];
  const description = typeof it["description"] === "string" ? markup`<p>${prose(it["description"])}</p>` : markup``;
  return markup`<article class="op" id="${String(it["operationId"])}">
<header><h3><span class="m ${method}">${method}</span><span class="path">${path}</span><span class="needs">${permission === "open" ? "no token" : permission === "ticket" ? "a ticket" : `needs ${permission}`}</span></h3><p>${String(it["summary"])}</p></header>
<div class="in">${description}
${parameters.length === 0 ? markup`` : markup`<h4>Parameters</h4>${parameterTable(parameters)}`}
${bodyHtml(it["requestBody"] as JsonObject | undefined)}
<h4>Try it</h4>${copyable(curlOf({ path, method, it }))}
<h4>Answers</h4>${answersHtml(it["responses"] as Record<string, JsonObject>)}
</div></article>`;
}

function bodyHtml(body: JsonObject | undefined): Html {
  if (!body) return markup``;
  const content = Object.entries(body["content"] as Record<string, { schema: JsonObject }>);
  const schema = content[0]?.[1].schema ?? {};
  const table = schema["$ref"] === undefined && schema["properties"] === undefined ? markup`` : schemaLine(schema);
  const described = typeof body["description"] === "string" ? markup` ${body["description"]}` : markup``;
  return markup`<h4>Body</h4><p><span class="dim">${content.map(([type]) => type).join(", ")}${body["required"] === true ? "" : ", may be left out"}</span>${described}</p>${table}`;
}

function schemaLine(schema: JsonObject): Html {
  return schema["properties"] === undefined ? markup`<p>${typeOf(schema)}</p>` : schemaTable(schema);
}

/** Its own answers first; the problems, which are much the same everywhere, behind one line. */
function answersHtml(responses: Record<string, JsonObject>): Html {
  const isProblem = ([, response]: [string, JsonObject]): boolean =>
    Object.hasOwn(response["content"] ?? {}, "application/problem+json");
  const all = Object.entries(responses);
  const problems = all.filter(isProblem);
  const codes = problems.map(([status]) => status).join(", ");
  return markup`${answerTable(all.filter((entry) => !isProblem(entry)))}<details><summary>Problems: ${codes}</summary>${answerTable(problems)}</details>`;
}

function answerTable(responses: readonly [string, JsonObject][]): Html {
  const rows = responses.map(([status, response]) => {
    const content = Object.entries((response["content"] ?? {}) as Record<string, { schema: JsonObject; example?: unknown }>);
    const types = content.map(([type, { schema }]) => {
      const { description } = schema;
      return markup`<div>${typeof description === "string" ? prose(description) : typeOf(schema)} <span class="dim">${type}</span></div>`;
    });
    const example = content.find(([, { example: shown }]) => shown !== undefined)?.[1].example;
    const details =
      example === undefined
        ? markup``
        : markup`<details><summary>Example</summary><pre><code>${JSON.stringify(example, null, 2)}</code></pre></details>`;
    return markup`<tr><td><code>${status}</code></td><td>${prose(String(response["description"]))}${details}</td><td>${types}</td></tr>`;
  });
  return markup`<div class="scroll"><table><thead><tr><th>Status</th><th>Meaning</th><th>Content</th></tr></thead><tbody>${rows}</tbody></table></div>`;
}

function copyable(text: string): Html {
  return markup`<div class="copy"><button type="button" data-copy>Copy</button><pre><code data-curl>${text}</code></pre></div>`;
}

/** A line for a shell: the token in a variable, the body in single quotes. */
function curlOf({ path, method, it }: Operation): string {
  const parts = ["curl"];
  if (method !== "get") parts.push(`-X ${method.toUpperCase()}`);
  const permission = it["x-permission"];
  if (permission === "ticket") parts.push('-H "Authorization: Ticket $TICKET"');
  else if (permission !== "open") parts.push('-H "Authorization: Bearer $MUSTER_TOKEN"');
  const body = it["requestBody"] as { content: Record<string, { example?: unknown }> } | undefined;
  const [type, media] = Object.entries(body?.content ?? {})[0] ?? [];
  if (type !== undefined && media) {
    parts.push(`-H 'Content-Type: ${type}'`);
    parts.push(
      media.example === undefined ? "--data-binary @file" : `-d '${JSON.stringify(media.example).replaceAll("'", "'\\''")}'`,
    );
  }
  return [...parts, `'http://127.0.0.1:7070${path.replaceAll(/\{(\w+)\}/g, "<$1>")}'`].join(" \\\n  ");
}
