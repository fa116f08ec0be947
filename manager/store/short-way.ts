import { registerHooks } from "node:module";

const drizzleFolder = "/node_modules/drizzle-orm/";

/**
 * Loads a module late and by a short way. For each of drizzle's files that another one imports, Node 24 reads the whole
 * package.json of drizzle anew (180 kB, some 100 times): 700 ms and 130 MB of heap that V8 keeps. Files that stand beside each
 * other in one package need no such look.
 */
export async function byShortWay<T>(load: () => Promise<T>): Promise<T> {
  const hook = registerHooks({
    resolve: (specifier, context, resolveAsEver) =>
      specifier.startsWith(".") && context.parentURL?.includes(drizzleFolder)
        ? { url: new URL(specifier, context.parentURL).href, format: "module", shortCircuit: true }
        : resolveAsEver(specifier, context),
  });
  try {
    return await load();
  } finally {
    hook.deregister();
  }
}
