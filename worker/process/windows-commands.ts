/** The commands of the Windows host, as pure builders. Not run on Windows yet. */

export interface WindowsCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** cmd.exe has quoting rules of its own, so its one argument goes to it as it is. */
  readonly verbatim: boolean;
}

/**
 * Ends a whole tree. taskkill must come before anything that ends the parent: it finds children by their parent only. Without
 * `/F` it asks windows to close, which programs without one never hear; that is the nearest thing to TERM.
 */
export function taskkillCommand(pid: number, force: boolean, systemRoot: string): WindowsCommand {
  return {
    file: `${systemRoot}\\System32\\taskkill.exe`,
    args: ["/PID", String(pid), "/T", ...(force ? ["/F"] : [])],
    verbatim: false,
  };
}

/** The program itself; `.cmd` and `.bat` files as programs are refused, because their arguments cannot be quoted safely. */
export function programCommand(program: string, args: readonly string[]): WindowsCommand | { readonly why: string } {
  if (/\.(cmd|bat)$/i.test(program)) {
    return {
      why: `${program} is a batch file, and cmd.exe cannot quote its arguments safely; use the script driver with interpreter cmd`,
    };
  }
  return { file: program, args, verbatim: /(^|\\|\/)cmd(\.exe)?$/i.test(program) };
}

/** What a Windows process needs to work at all, from the system's own places; the task's env goes over it. */
export function windowsEnvironment(systemRoot: string, home: string, temp: string): Record<string, string> {
  return {
    PATH: `${systemRoot}\\System32;${systemRoot};${systemRoot}\\System32\\Wbem;${systemRoot}\\System32\\WindowsPowerShell\\v1.0`,
    PATHEXT: ".COM;.EXE;.BAT;.CMD",
    SYSTEMROOT: systemRoot,
    WINDIR: systemRoot,
    COMSPEC: `${systemRoot}\\System32\\cmd.exe`,
    USERPROFILE: home,
    HOME: home,
    TEMP: temp,
    TMP: temp,
    LANG: "C.UTF-8",
  };
}
