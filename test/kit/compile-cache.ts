import { join, resolve } from "node:path";

/** Where the launcher lets Node keep what it compiled: a part of Muster that finds it there is up in half the time. */
export const compileCache = { NODE_COMPILE_CACHE: join(resolve(import.meta.dirname, "../.."), "node_modules/.cache/muster") };
