import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { doubledDelayMs } from "../../schema/kit/backoff.ts";
import type { Log } from "../../schema/kit/log.ts";
import { systemPath } from "./who.ts";

/** How attempts get a process group of their own. */
export interface LauncherShell {
  /** Absolute path of the shell that runs launcher.sh. */
  readonly shell: string;
  /** `groups`: by the shell's own job control, no exec; otherwise the command that starts each shim in its own session. */
  readonly how: string;
}

/**
 * How a shim starts a program. `spawn`: as a command of its own, for which dash has vfork(2), a third cheaper than a fork of
 * the shell; `exec`: in a subshell that becomes the program, for shells that would write the command line into the error
 * output of a program that a signal ended.
 */
export type LaunchStyle = "spawn" | "exec";

/** A running launcher.sh, started anew whenever it dies. */
export interface Launcher {
  /** Whole lines, each with its line end. What a dying launcher did not read is lost: see `onRestart`. */
  send(lines: string): void;
  /** Closes the pipe: the launcher stays only until its children have ended. */
  close(): void;
}

const script = new URL("launcher.sh", import.meta.url).pathname;
const environment = { PATH: systemPath, LC_ALL: "C" };

/** Exits 0 when the shell has job control without a terminal, and lets us see that an exec failed (launcher.sh, norun). */
const probe = `
set -m 2>/dev/null
case $- in *m*) ;; *) exit 3 ;; esac
[ -n "\${BASH_VERSION-}" ] && exit 0
( trap 'exit 7' 0; exec /nonexistent/program; exit 7 ) 2>/dev/null
[ $? = 7 ]`;

/**
 * What the agent inherited without meaning to must not reach every program, and neither Node nor dash can close a file of two
 * digits. Where there is no bash, launcher.sh closes those of one. (--norc: standard input is a socket, which bash takes for a
 * remote shell's.)
 */
const closeAll =
  'for fd in /proc/self/fd/*; do fd=${fd##*/}; case $fd in [0-2]) ;; *) eval "exec $fd>&-" ;; esac; done; exec env -i "PATH=$PATH" LC_ALL=C "$@"';
const closer = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"].find((path) => existsSync(path));

/** What a shell says of a program that a signal ended; a word such as `Killed` is all that may be there. */
const obituary = "{ MUSTER_PROBE=1 /bin/sh -c 'kill -s KILL $$'; } 2>&1; exit 0";

/** The style that suits this shell. */
export function launchStyleOf(shell: string): LaunchStyle {
  const { stdout, status } = spawnSync(shell, ["-c", obituary], { env: environment, encoding: "utf8", timeout: 5_000 });
  return status === 0 && /^[A-Za-z ]{0,40}\n?$/.test(stdout) ? "spawn" : "exec";
}

/**
 * Finds the cheapest way that this host has: shims of a small shell, each in a session that setsid(1) makes; env(1) undoes
 * that background children of dash and busybox ignore INT and QUIT. Else a bash with job control, whose shims are forks of
 * itself. Throws a sentence when there is none.
 */
export function findLauncherShell(): LauncherShell {
  const works = (program: string, args: readonly string[]): boolean =>
    spawnSync(program, args, { env: environment, stdio: "ignore", timeout: 5_000, detached: true } as Parameters<
      typeof spawnSync
    >[2]).status === 0;
  const sessions = ["env --default-signal=INT,QUIT setsid", "setsid"] as const;
  const setsid = (shell: string, how: string): boolean => works(shell, ["-c", `${how} ${shell} -c 'exit 0'`]);
  for (const shell of ["/bin/dash", "/usr/bin/dash", "/bin/sh"])
    if (setsid(shell, sessions[0])) return { shell, how: sessions[0] };
  for (const shell of ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash", "/bin/sh"]) {
    if (works(shell, ["-c", probe])) return { shell, how: "groups" };
  }
  if (setsid("/bin/sh", sessions[1])) return { shell: "/bin/sh", how: sessions[1] };
  throw new Error(
    "this host has neither a bash nor a setsid program, and one of them is needed so that each attempt gets a process group of its own; install util-linux or bash",
  );
}

/** Starts the launcher. `onRestart` is called when a new one listens in place of one that died, so that attempts whose shim it may never have started can be given to others. */
export function startLauncher(options: {
  readonly folder: string;
  readonly bootId: string;
  readonly shell: LauncherShell;
  readonly log: Log;
  readonly onRestart: () => void;
}): Launcher {
  const { folder, bootId, shell, log } = options;
  let closed = false;
  let restart: NodeJS.Timeout | undefined;
  let child: ChildProcess | undefined;
  let deaths = 0;

  const start = (): void => {
    const command = [shell.shell, script, "launch", folder, bootId, shell.how, shell.shell] as const;
    const [program, ...args] = closer === undefined ? command : [closer, "--norc", "-c", closeAll, "bash", ...command];
    // detached is setsid(2): a session of its own, without a terminal and out of reach of the agent's Ctrl-C.
    const made = spawn(program, args, {
      cwd: folder,
      env: environment,
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
    });
    child = made;
    const gone = (why: string): void => {
      if (child !== made || closed) return;
      child = undefined;
      log.error({ why }, "the launcher ended and is started again");
      const waitMs = doubledDelayMs(deaths++, { firstMs: 100, maxMs: 5_000 });
      restart = setTimeout(() => {
        start();
        options.onRestart();
      }, waitMs);
    };
    made.on("error", (error) => gone(error.message));
    made.on("exit", (code, signal) => gone(`exit ${code ?? signal}`));
    // Its exit says the same, with the reason.
    made.stdin?.on("error", (error) => log.debug({ err: error }, "the launcher's pipe broke"));
    made.unref();
    (made.stdin as unknown as { unref(): void } | null)?.unref();
  };
  start();
  return {
    send: (lines) => {
      child?.stdin?.write(lines);
    },
    close: () => {
      closed = true;
      clearTimeout(restart);
      child?.stdin?.end();
    },
  };
}
