import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync } from "node:fs";

/** What proc_pid_stat(5) says of one process. */
export interface Stat {
  readonly pid: number;
  /** Of its first thread: `Z` and `X` are dead. */
  readonly state: string;
  readonly threads: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** A thread of the kernel's own. */
  readonly kernel: boolean;
  /** Field 22, in clock ticks since boot. */
  readonly startTicks: number;
  /** Fields 19, 40 and 41: nice value, realtime priority, policy. */
  readonly scheduling: string;
  /** Where its program and its environment lie in memory: fields 26, 50, 51. Zeros while they are not in place. */
  readonly image: string;
  /** Bytes of its environment; undefined while its program is not in place. */
  readonly environment: number | undefined;
}

/** PF_KTHREAD in field 9 (include/linux/sched.h). */
const kernelThread = 0x0020_0000;

const buffer = Buffer.allocUnsafe(65_536);

/** The first bytes of a small file, undefined when it cannot be read: a process may go at any moment, and /proc with it. */
function readSmall(path: string): Buffer | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return undefined;
  }
  try {
    return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, 0));
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}

/** Undefined when there is no such process, or the kernel says something that is no stat line. */
export function readStat(pid: number): Stat | undefined {
  return parseStat(readSmall(`/proc/${pid}/stat`)?.toString("latin1") ?? "");
}

/** The name in brackets may hold spaces, brackets and newlines, so the fields are counted from the last bracket on. */
export function parseStat(line: string): Stat | undefined {
  const end = line.lastIndexOf(")");
  if (end < 0) return undefined;
  const fields = line.slice(end + 2).split(" ");
  const stat = {
    pid: Number.parseInt(line, 10),
    state: fields[0] ?? "",
    threads: Number(fields[17]),
    parent: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
    kernel: (Number(fields[6]) & kernelThread) !== 0,
    startTicks: Number(fields[19]),
    scheduling: `${fields[16]} ${fields[37]} ${fields[38]}`,
    image: `${fields[23]} ${fields[47]} ${fields[48]}`,
    // An address of 1 is one that we may not know.
    environment: Number(fields[23]) > 1 && Number(fields[48]) > 0 ? Number(fields[48]) - Number(fields[47]) : undefined,
  };
  return Number.isSafeInteger(stat.pid) && Number.isSafeInteger(stat.startTicks) && stat.state !== "" ? stat : undefined;
}

/**
 * A zombie has ended: only its parent has not looked yet. But a process whose first thread has ended, by pthread_exit(3) or
 * because another one is executing a program, is shown as one while the others go on.
 */
export function isAlive(stat: Stat | undefined): stat is Stat {
  return stat !== undefined && (!isOver(stat) || livingThread(stat) !== undefined);
}

const isOver = ({ state }: Stat): boolean => state === "Z" || state === "X";

/** A thread that goes on; undefined when there is none. */
function livingThread({ pid, threads }: Stat): string | undefined {
  if (!(threads > 1)) return undefined;
  const folder = `/proc/${pid}/task`;
  return numbersIn(folder).find((thread) => {
    const stat = parseStat(readSmall(`${folder}/${thread}/stat`)?.toString("latin1") ?? "");
    return stat !== undefined && !isOver(stat);
  });
}

/** Every process id of the host (or of this container). */
export function listPids(): number[] {
  return numbersIn("/proc").map(Number);
}

function numbersIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.charCodeAt(0) >= 48 && name.charCodeAt(0) <= 57);
  } catch (error) {
    // Gone meanwhile.
    if (folder !== "/proc") return [];
    throw error;
  }
}

/** Whether the shim has become a program: it has a child, and that child is no longer the shell itself. */
export function hasProgram(shim: number): boolean {
  const own = readSmall(`/proc/${shim}/cmdline`)?.toString("latin1");
  return childrenOf(shim).some((child) => readSmall(`/proc/${child}/cmdline`)?.toString("latin1") !== own);
}

function childrenOf(pid: number): number[] {
  // proc_pid_task(5): only kernels with CONFIG_PROC_CHILDREN have it.
  const listed = readSmall(`/proc/${pid}/task/${pid}/children`)?.toString("latin1");
  if (listed === undefined) return listPids().filter((one) => readStat(one)?.parent === pid);
  return listed
    .split(" ")
    .filter((text) => text !== "")
    .map(Number);
}

/** Whether some process has this working directory; a shim has its attempt's folder from its first line on. */
export function someoneWorksIn(folder: string): boolean {
  return listPids().some((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === folder;
    } catch {
      // Gone meanwhile, or another user's.
      return false;
    }
  });
}

/**
 * The value that follows `prefix` in the environment a process was started with, up to the next `/` or its end; undefined
 * when there is none or the process is not ours to read. Null: it is becoming another program or ending just now, and nobody
 * can tell; or its environment is out of reach for good, which only its staying so shows.
 */
export function readTag(pid: number, prefix: Buffer): string | undefined | null {
  let bytes = readEnvironment(`/proc/${pid}/environ`);
  if (bytes === undefined) return undefined;
  if (bytes.length === 0) {
    const stat = readStat(pid);
    const thread = stat && isOver(stat) ? livingThread(stat) : undefined;
    if (thread !== undefined) bytes = readEnvironment(`/proc/${pid}/task/${thread}/environ`) ?? bytes;
  }
  for (let at = bytes.indexOf(prefix); at >= 0; at = bytes.indexOf(prefix, at + 1)) {
    // Within another's value it says nothing.
    if (at > 0 && bytes[at - 1] !== 0) continue;
    const from = at + prefix.length;
    let to = from;
    while (to < bytes.length && bytes[to] !== 0 && bytes[to] !== 47) to++;
    return bytes.toString("latin1", from, to);
  }
  // One read gets it all or nothing; more of them may be cut short by the end of the program.
  if (bytes.length > 0 && bytes.length < buffer.length) return undefined;
  return isRiddle(readStat(pid), bytes.length) ? null : undefined;
}

/**
 * Of a process of whose environment so many bytes could be read. During execve(2) it is empty until the new program's is in
 * place, and so is what was opened before (fs/proc/base.c, environ_read). Of what can be seen the program's address is set
 * last (fs/binfmt_elf.c, load_elf_binary).
 */
function isRiddle(stat: Stat | undefined, bytes: number): boolean {
  return isAlive(stat) && !stat.kernel && stat.environment !== bytes;
}

/** Empty when it, or the process, is not there; undefined when it is not ours to read. */
function readEnvironment(path: string): Buffer | undefined {
  try {
    const fd = openSync(path, "r");
    try {
      const read = readSync(fd, buffer, 0, buffer.length, 0);
      // A task's environment may be larger than the buffer. Read from what is open: another program would have another.
      return read < buffer.length ? buffer.subarray(0, read) : Buffer.concat([Buffer.from(buffer), readFileSync(fd)]);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "EACCES" || code === "EPERM" ? undefined : buffer.subarray(0, 0);
  }
}

/** This boot's id; undefined where the system has none. */
export function readBootId(): string | undefined {
  const id = readSmall("/proc/sys/kernel/random/boot_id")?.toString("latin1").trim();
  return id === "" ? undefined : id;
}

/** Sends a signal to a process (or, negative, a group). False: there was nobody to take it. */
export function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ESRCH") return false;
    // It exists and is another user's: a program that changed its user, or a foreign group under a reused number.
    if (code === "EPERM") return true;
    throw error;
  }
}
