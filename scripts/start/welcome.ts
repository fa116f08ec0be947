/** What a person reads when the system is up. */
import type { StartConfig } from "../config.ts";

export interface Welcome {
  readonly config: StartConfig;
  readonly version: string;
  /** The admin token when it was made just now; undefined: it was shown at an earlier start, or preset. */
  readonly token: string | undefined;
}

/** The whole text, without a line end. */
export function welcome({ config, version, token }: Welcome): string {
  const lines = [
    `Muster ${version} is up.`,
    "",
    `  API     ${config.apiUrl}`,
    `  Docs    ${config.apiUrl}/docs`,
    `  Broker  ${config.brokerUrl}`,
    `  Worker  ${config.workerId}, ${config.slots} slots, pool ${config.pool}`,
    `  Data    ${config.dataDir} (its own logs in ${config.dataDir}/system)`,
    "",
  ];
  if (token !== undefined)
    lines.push("  The admin token, shown this once (npm run token makes a new one):", "", `  ${token}`, "");
  else lines.push("  The admin token was shown at the first start, or preset; npm run token makes a new one.", "");
  lines.push("  Paste this to run a bash script and see what became of it:", "", tryIt(config.apiUrl, token), "");
  lines.push(
    "  Ctrl-C stops Muster. What its worker runs goes on and is found again at the next start; a second Ctrl-C stops it too.",
  );
  return lines.join("\n");
}

/**
 * One line for a POSIX shell with curl: creates a task, starts it, waits for its end, and shows the run, its result and its output.
 * When the API refuses something, its sentence is shown: that is why curl has no `-f`.
 */
export function tryIt(apiUrl: string, token: string | undefined): string {
  const script = String.raw`echo Hello from $(hostname), it is $(date +%T); date +%s > "$MUSTER_RESULT"`;
  const task = JSON.stringify({ run: { driver: "script", interpreter: "bash", script } });
  return [
    `export MUSTER_URL=${apiUrl} MUSTER_TOKEN=${token ?? "YOUR-ADMIN-TOKEN"}`,
    `muster() { curl -sS -H "Authorization: Bearer $MUSTER_TOKEN" "$@"; }`,
    `first_id() { grep -o '"id":"[^"]*"' | head -n 1 | cut -d '"' -f 4; }`,
    `task=$(muster -X PUT "$MUSTER_URL/tasks/by-name/hello" -H "Content-Type: application/json" -d '${task}' | first_id)`,
    `run=$(muster -X POST "$MUSTER_URL/tasks/$task/start" | first_id)`,
    `muster "$MUSTER_URL/runs/$run?waitSeconds=10"; echo`,
    `muster -H "Accept: text/plain" "$MUSTER_URL/runs/$run/logs"`,
  ].join("; ");
}
