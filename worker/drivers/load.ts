import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import type { Driver } from "./driver.ts";
import exec from "./exec.ts";
import script from "./script.ts";

const driverName = /^[a-z][a-z0-9-]{0,35}$/;

/**
 * Muster's own drivers and those of third parties, by name. `extra` are absolute paths of modules whose default export is a
 * `Driver`. Throws a sentence that names the path and what is wrong with it: a worker that lacks a driver it was given should not start.
 */
export async function loadDrivers(extra: readonly string[]): Promise<ReadonlyMap<string, Driver>> {
  const drivers = new Map<string, Driver>([exec, script].map((driver) => [driver.name, driver]));
  for (const path of extra) {
    const driver = await loadDriver(path);
    if (drivers.has(driver.name))
      throw new Error(`the driver ${path} is named "${driver.name}", and there is a driver of that name already`);
    drivers.set(driver.name, driver);
  }
  return drivers;
}

async function loadDriver(path: string): Promise<Driver> {
  if (!isAbsolute(path)) throw new Error(`the driver ${path} must be given by its absolute path`);
  let made: { readonly default?: unknown };
  try {
    made = (await import(pathToFileURL(path).href)) as typeof made;
  } catch (error) {
    throw new Error(`the driver ${path} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  const driver = made.default as Partial<Driver> | null | undefined;
  if (typeof driver !== "object" || driver === null)
    throw new Error(`the driver ${path} has no default export with name and prepare`);
  if (typeof driver.name !== "string" || !driverName.test(driver.name)) {
    throw new Error(`the driver ${path} needs a name: at most 36 of a-z, 0-9 and -, beginning with a letter`);
  }
  if (typeof driver.prepare !== "function")
    throw new Error(`the driver ${path} (${driver.name}) has no function prepare(spec, host)`);
  return driver as Driver;
}
