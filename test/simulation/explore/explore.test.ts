import { resolve } from "node:path";
import { expect, test } from "vitest";
import { Explorer } from "./explore.ts";
import { findDoubleStart } from "./main.ts";
import { loadParts } from "./parts.ts";
import { scenes } from "./scenes.ts";
import { withoutTerms } from "./terms.ts";

const root = resolve(import.meta.dirname, "../../..");

test.for(scenes)("$name, small: whatever happens, nothing starts twice and every end is true and final", async (scene) => {
  const explored = await new Explorer(await loadParts(root), { ...scene, left: scene.small }).explore();
  expect(explored.found).toBeUndefined();
  expect(explored.whole).toBe(true);
  expect(explored.states).toBeGreaterThan(150);
});

test.for(withoutTerms)("the double start is found when $name", async (bug) => {
  const { found } = await findDoubleStart(bug);
  expect(found?.violations.join()).toMatch(/twice/);
});
