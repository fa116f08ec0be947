/** Whom a process runs as, and what that user may do with a file. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, statSync, type Stats } from "node:fs";
import { userInfo } from "node:os";
import { delimiter, dirname } from "node:path";

/** A user of the host. `own`: the agent's own, so nothing has to be switched. */
export interface Who {
  readonly own: boolean;
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly home: string;
}

/** How long getent(1) and id(1) may take: a directory service may hang. */
const lookupTimeoutMs = 5_000;
/** Where the tools lie; the agent's own PATH is not asked, so that a task's user always means the same. */
export const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The agent's own user. */
export function ownUser(): Who {
  const { username, uid, gid, homedir } = userInfo();
  return { own: true, name: username, uid, gid, groups: process.getgroups?.() ?? [gid], home: homedir };
}

/** Looks a user up through getent(1) and id(1), so that directory services count; a sentence when there is none or only root could. */
export function findUser(name: string, own: Who): Who | { readonly why: string } {
  if (name === own.name) return own;
  if (own.uid !== 0)
    return {
      why: `it shall run as user "${name}", but the agent runs as "${own.name}": only an agent that runs as root can start for other users`,
    };
  const ask = (tool: string, ...args: string[]) =>
    spawnSync(tool, args, { encoding: "utf8", timeout: lookupTimeoutMs, env: { PATH: systemPath } });
  const entry = ask("getent", "passwd", name).stdout?.trim().split(":") ?? [];
  const [, , uid, gid, , home] = entry;
  if (uid === undefined || gid === undefined) return { why: `there is no user "${name}" on this host` };
  const groups = (ask("id", "-G", name).stdout ?? "")
    .trim()
    .split(/\s+/)
    .filter((text) => text !== "")
    .map(Number);
  return {
    own: false,
    name,
    uid: Number(uid),
    gid: Number(gid),
    groups: groups.length > 0 ? groups : [Number(gid)],
    home: home || "/",
  };
}

/** The command that a root agent puts before the program to become `who`; a sentence when the host has none. */
export function switchTo(who: Who): readonly string[] | { readonly why: string } {
  if (who.own) return [];
  const setpriv = onPath("setpriv", systemPath);
  if (setpriv === undefined)
    return { why: `to start as user "${who.name}" this host needs setpriv (of util-linux), and it is not there` };
  return [setpriv, `--reuid=${who.uid}`, `--regid=${who.gid}`, "--init-groups", "--"];
}

/** The first file of that name on the path which the agent may execute. */
export function onPath(name: string, path: string): string | undefined {
  for (const folder of path.split(delimiter)) {
    // An empty or relative entry would mean the working directory, which is the task's.
    if (!folder.startsWith("/")) continue;
    const file = `${folder}/${name}`;
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** Whether the mode bits let `who` execute (a folder: search) or write it. */
export function permits(stat: Stats, who: Who, right: "execute" | "write"): boolean {
  const bit = right === "execute" ? 1 : 2;
  if (who.uid === 0) return right === "write" || stat.isDirectory() || (stat.mode & 0o111) !== 0;
  if (stat.uid === who.uid) return (stat.mode & (bit << 6)) !== 0;
  if (who.groups.includes(stat.gid)) return (stat.mode & (bit << 3)) !== 0;
  return (stat.mode & bit) !== 0;
}

/** The first folder above `path` that `who` may not search; undefined when it can be reached. Throws what stat(2) says. */
export function barredFolder(path: string, who: Who): string | undefined {
  const above: string[] = [];
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    above.push(folder);
    if (folder === "/") break;
  }
  return above.reverse().find((folder) => !permits(statSync(folder), who, "execute"));
}
