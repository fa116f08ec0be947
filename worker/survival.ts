/** Rule 27: whether the processes of this host outlive the death of its agent. */
export interface Survival {
  readonly survives: boolean;
  /** One sentence: why, and what would help. */
  readonly why: string;
}

export interface AgentPlace {
  readonly system: string;
  readonly pid: number;
  readonly parentPid: number;
  /** The name of process 1. */
  readonly initName: string;
  /** The systemd service that the agent runs in; undefined: none. */
  readonly unit: string | undefined;
  /** That service's KillMode; undefined when it could not be read. */
  readonly killMode: string | undefined;
}

/** Small inits that end, and their container with them, when their one child does. */
const containerInits = new Set(["tini", "docker-init", "dumb-init", "catatonit", "podman-init"]);

export function judgeSurvival(place: AgentPlace): Survival {
  if (place.system === "win32")
    return { survives: false, why: "on Windows the processes are children of the agent and end with it" };
  if (place.pid === 1)
    return { survives: false, why: "the agent is process 1 of its container: when it ends, so does everything in it" };
  if (place.parentPid === 1 && containerInits.has(place.initName)) {
    return {
      survives: false,
      why: `the agent is the one child of ${place.initName}, which ends the container when the agent ends`,
    };
  }
  if (place.unit === undefined)
    return { survives: true, why: "the agent runs outside of systemd services, so its death ends nothing else" };
  if (place.killMode === undefined)
    return { survives: false, why: `the agent runs in ${place.unit}, and its KillMode cannot be read; it should be process` };
  if (place.killMode === "process" || place.killMode === "none") {
    return { survives: true, why: `the agent runs in ${place.unit} with KillMode=${place.killMode}` };
  }
  return {
    survives: false,
    why: `the agent runs in ${place.unit} with KillMode=${place.killMode}, which ends its tasks with it; set KillMode=process`,
  };
}

/** The innermost service in the lines of /proc/self/cgroup; a login session is a scope and no service. */
export function unitOf(cgroups: string): string | undefined {
  for (const line of cgroups.split("\n")) {
    const path = /^(?:0:|[0-9]+:name=systemd):(.*)$/.exec(line)?.[1];
    const last = path
      ?.split("/")
      .reverse()
      .find((part) => /\.(service|scope|slice)$/.test(part));
    // What a user starts by hand runs under user@….service only through a scope or a service of its own.
    if (last?.endsWith(".service") && !last.startsWith("user@")) return last;
  }
  return undefined;
}
