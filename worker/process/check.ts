/** What can be known before a launch is said before it, in a sentence, instead of as a shell's 126 or 127. */
import { closeSync, openSync, readSync, readdirSync, statSync, type Stats } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { barredFolder, onPath, permits, type Who } from "./who.ts";

export interface CannotStart {
  readonly why: string;
}

/** A folder that the process may work in, or why not. */
export function checkFolder(folder: string, who: Who): CannotStart | undefined {
  if (!isAbsolute(folder)) return { why: `the working directory must be an absolute path, and "${folder}" is none` };
  const stat = look(folder, who);
  if ("why" in stat) return { why: `the working directory ${folder} ${stat.why}` };
  if (!stat.isDirectory()) return { why: `the working directory ${folder} is not a directory` };
  if (!permits(stat, who, "execute")) return { why: `user "${who.name}" may not enter the working directory ${folder}` };
  return undefined;
}

/**
 * The absolute path of a program: a name without a slash is looked up on the process's own PATH, a relative path counts from
 * its working directory. Or a sentence: it is missing, a directory, not executable, or the kernel could not run it.
 */
export function checkProgram(
  program: string,
  env: { readonly path: string; readonly workingDirectory: string },
  who: Who,
): string | CannotStart {
  if (program === "" || program.includes("\0")) return { why: "the program's name is empty or holds a NUL byte" };
  const file = program.includes("/") ? resolve(env.workingDirectory, program) : onPath(program, env.path);
  if (file === undefined) return { why: `there is no program "${program}" on the PATH (${env.path})` };
  return checkExecutable(file, who) ?? file;
}

function checkExecutable(file: string, who: Who): CannotStart | undefined {
  const stat = look(file, who);
  if ("why" in stat) return { why: `the program ${file} ${stat.why}` };
  if (stat.isDirectory()) return { why: `${file} is a directory, not a program` };
  if (!stat.isFile()) return { why: `${file} is no regular file, so it cannot be a program` };
  if (!permits(stat, who, "execute")) return { why: `user "${who.name}" has no execute permission on ${file}` };
  const { dev, ino, size, mtimeMs, ctimeMs } = stat;
  const known = `${who.name} ${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs} ${file}`;
  if (sound.has(known)) return undefined;
  const cannot = checkFormat(file, who);
  if (cannot === undefined) {
    if (sound.size >= soundPrograms) sound.clear();
    sound.add(known);
  }
  return cannot;
}

/** Programs that were found to be sound, by what changes when they do: most attempts run one that ran before. */
const sound = new Set<string>();
const soundPrograms = 256;

function look(path: string, who: Who): Stats | CannotStart {
  try {
    const barred = who.own ? undefined : barredFolder(path, who);
    if (barred !== undefined) return { why: `cannot be reached by user "${who.name}": ${barred} gives no search permission (x)` };
    return statSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return { why: "does not exist" };
    if (code === "EACCES") return { why: "cannot be reached: a folder above it gives no search permission (x)" };
    if (code === "ENOTDIR") return { why: "cannot be reached: something above it is no directory" };
    return { why: `cannot be used: ${code ?? String(error)}` };
  }
}

/** The kernel takes `#!` lines, its own machine's ELF, and what binfmt_misc was told of; a shell would run all else as a script. */
function checkFormat(file: string, who: Who): CannotStart | undefined {
  const head = readHead(file);
  // Executable but not readable is lawful; then only the kernel can tell.
  if (head === undefined) return undefined;
  if (head.subarray(0, 2).toString("latin1") === "#!") return checkInterpreterLine(file, head, who);
  if (hasOtherFormats()) return undefined;
  if (head.subarray(0, 4).toString("latin1") !== "\u007fELF") {
    return {
      why: `${file} has no #! line and is no program of this machine; give it a first line such as #!/bin/sh, or name its interpreter`,
    };
  }
  const own = ownMachine();
  const machine = head.readUInt16LE(18);
  // x86-64 kernels run 32-bit x86 too.
  if (own === undefined || machine === own || (own === 62 && machine === 3)) return undefined;
  return { why: `${file} is a program for another kind of machine (ELF machine ${machine}, this host is ${own})` };
}

function checkInterpreterLine(file: string, head: Buffer, who: Who): CannotStart | undefined {
  const line = head.toString("utf8").split("\n", 1)[0] ?? "";
  const interpreter = /^#![ \t]*([^ \t]*)/.exec(line)?.[1] ?? "";
  const where = `the first line of ${file} names the interpreter "${interpreter.replaceAll("\r", "\\r")}"`;
  if (interpreter === "") return { why: `the first line of ${file} is "#!" and names no interpreter` };
  if (interpreter.endsWith("\r")) return { why: `${where}: it has Windows line ends; save it with plain \\n` };
  const stat = look(resolve("/", interpreter), who);
  if ("why" in stat) return { why: `${where}, which ${stat.why}` };
  if (!stat.isFile() || !permits(stat, who, "execute")) return { why: `${where}, which is not executable` };
  return undefined;
}

function readHead(file: string): Buffer | undefined {
  try {
    const fd = openSync(file, "r");
    try {
      const head = Buffer.alloc(256);
      readSync(fd, head, 0, head.length, 0);
      return head;
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

let machine: number | undefined | null = null;
/** The ELF machine number of this host, read from the program that we are. */
function ownMachine(): number | undefined {
  if (machine === null) {
    const head = readHead(process.execPath);
    machine = head?.subarray(0, 4).toString("latin1") === "\u007fELF" ? head.readUInt16LE(18) : undefined;
  }
  return machine;
}

/** Whether binfmt_misc(5) has entries of its own, by which the kernel runs jars, foreign ELF and more. */
function hasOtherFormats(): boolean {
  try {
    return readdirSync("/proc/sys/fs/binfmt_misc").some((name) => name !== "register" && name !== "status");
  } catch {
    return false;
  }
}
