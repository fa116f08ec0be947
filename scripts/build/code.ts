import type { BuildOptions } from "esbuild";

/** CommonJS packages ask for Node's own modules by `require`, which a module does not have. */
const banner = 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);';

/** How the source becomes the code of a release. */
export const releaseCode = {
  bundle: true,
  platform: "node",
  target: "node24",
  format: "esm",
  banner: { js: banner },
  // muster.js loads a part instead of starting it, to be one process and not two. The other name takes failpoints out of the
  // code, and lets sentences name a release's own commands.
  define: { "import.meta.main": "true", MUSTER_IS_RELEASE: "true" },
  // Whoever reads a stack trace finds the names that the source has.
  minifySyntax: true,
  minifyWhitespace: true,
} as const satisfies BuildOptions;
