/**
 * `npm run build`: the release in `dist/`, which needs Node and nothing else: one file for each part, what they share, and what
 * they read from disk. A start from it loads a few files where the source loads some hundreds.
 */
import { chmod, cp, mkdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build, type Metafile } from "esbuild";
import { takeNoArguments } from "./no-arguments.ts";
import { noticesOf } from "./build/notices.ts";
import { releaseCode } from "./build/code.ts";
import { readProject } from "./build/project.ts";

const usage = `Usage: npm run build

Makes the release in dist/: manager, worker, broker and the commands of their hosts, in bundles that need nothing but Node.`;

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");

/** Each becomes `<name>.js`. */
const parts: Readonly<Record<string, string>> = {
  manager: "manager/main.ts",
  worker: "worker/main.ts",
  broker: "broker/main.ts",
  token: "scripts/token.ts",
  "worker-add": "scripts/worker-add.ts",
  "mosquitto-users": "scripts/mosquitto-users.ts",
  health: "scripts/health.ts",
  cli: "cli/main.ts",
};

/** What the code finds beside itself, by `import.meta.url`: every bundle lies in `dist/` itself, never in a folder of it. */
const beside: Readonly<Record<string, string>> = {
  "manager/store/migrations": "migrations",
  "worker/process/launcher.sh": "launcher.sh",
  "worker/process/watchdog.sh": "watchdog.sh",
  "scripts/build/muster.js": "muster.js",
  LICENSE: "LICENSE",
};

async function bundle(): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: Object.entries(parts).map(([out, file]) => ({ out, in: file })),
    outdir: dist,
    splitting: true,
    chunkNames: "[name]-[hash]",
    sourcemap: "linked",
    sourcesContent: false,
    legalComments: "none",
    ...releaseCode,
    metafile: true,
    logLevel: "warning",
  });
  return metafile;
}

async function main(): Promise<void> {
  takeNoArguments(usage);
  await rm(dist, { recursive: true, force: true });
  await mkdir(dist);
  const metafile = await bundle();
  for (const [from, to] of Object.entries(beside)) await cp(join(root, from), join(dist, to), { recursive: true });
  await chmod(join(dist, "muster.js"), 0o755);
  const { name, version, description, license } = readProject(root);
  const release = {
    name,
    version,
    description,
    license,
    type: "module",
    bin: { muster: "muster.js" },
    engines: { node: ">=24.15" },
  };
  await writeFile(join(dist, "package.json"), `${JSON.stringify(release, null, 2)}\n`);
  await writeFile(join(dist, "THIRD-PARTY-LICENSES.txt"), await noticesOf(Object.keys(metafile.inputs), root));
  for (const part of Object.keys(parts)) {
    const { size } = await stat(join(dist, `${part}.js`));
    process.stdout.write(`dist/${part}.js`.padEnd(24) + `${Math.ceil(size / 1024)} KiB\n`);
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`muster build: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
