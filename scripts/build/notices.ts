/** The licences of what was bundled: most of them ask that their text goes with every copy. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

const licenceFile = /^(licen[cs]e|copying|notice)(\.|-|$)/i;
const marker = "node_modules/";

/** One text with the name, version, licence and licence texts of each package that the bundled files come from. `files` are paths from `root`. */
export async function noticesOf(files: readonly string[], root: string): Promise<string> {
  const folders = [...new Set(files.flatMap((file) => packageFolder(file) ?? []))].toSorted();
  const notices = await Promise.all(folders.map((folder) => noticeOf(join(root, folder))));
  return notices.join(`\n${"-".repeat(80)}\n\n`);
}

/** `node_modules/a/node_modules/@b/c` of a file within it; undefined for a file of ours. */
function packageFolder(file: string): string | undefined {
  const at = file.lastIndexOf(marker);
  if (at < 0) return undefined;
  const names = file.slice(at + marker.length).split("/");
  return file.slice(0, at + marker.length) + names.slice(0, names[0]?.startsWith("@") === true ? 2 : 1).join("/");
}

async function noticeOf(folder: string): Promise<string> {
  const { name, version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as Record<string, unknown>;
  const texts = (await readdir(folder)).filter((file) => licenceFile.test(file));
  const read = await Promise.all(texts.map((file) => readFile(join(folder, file), "utf8")));
  return `${String(name)} ${String(version)}\nLicence: ${typeof license === "string" ? license : "see its text"}\n\n${read.map((text) => text.trim()).join("\n\n")}\n`;
}
