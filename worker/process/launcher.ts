import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { doubledDelayMs } from "../../schema/kit/backoff.ts";
import type { Log } from "../../schema/kit/log.ts";
import { systemPath } from "./who.ts";

/** How attempts get a process group of their own. */
export interface LauncherShell {
  /** Absolute path of the shell that runs launcher.sh. */
  readonly shell: string;
  /** `groups`: by the shell's own job control, no exec; otherwise the command that starts each in its own session. */
  readonly how: string;
}

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
 * Finds the cheapest way that this host has. dash and busybox refuse job control without a terminal, so under them each
 * attempt costs two more execs (setsid, sh); env(1) undoes that their background children ignore INT and QUIT. Throws a
 * sentence when there is none.
 */
export function findLauncherShell(): LauncherShell {
  const works = (program: string, args: readonly string[]): boolean =>
    spawnSync(program, args, { env: environment, stdio: "ignore", timeout: 5_000, detached: true } as Parameters<
      typeof spawnSync
    >[2]).status === 0;
  for (const shell of ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash", "/bin/sh"]) {
    if (works(shell, ["-c", probe])) return { shell, how: "groups" };
  }
  const shell = "/bin/sh";
  for (const how of ["env --default-signal=INT,QUIT setsid", "setsid"]) {
    if (works(shell, ["-c", `${how} sh -c 'exit 0'`])) return { shell, how };
  }
  throw new Error(
    "this host has neither a bash nor a setsid program, and one of them is needed so that each attempt gets a process group of its own; install util-linux or bash",
  );
}

/** Starts the launcher. `onRestart` is called when a new one listens in place of one that died, so that launches still unanswered can be sent again. */
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
    // detached is setsid(2): a session of its own, without a terminal and out of reach of the agent's Ctrl-C.
    const made = spawn(shell.shell, [script, "launch", folder, bootId, shell.how], {
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
