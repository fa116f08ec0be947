/** The worker's ends on the wire: the link to the broker, and the shipping of output over it. */
import { join } from "node:path";
import { mqttConnector } from "../broker/mqtt.ts";
import type { WorkerConfig } from "./config.ts";
import { Link } from "./link.ts";
import { punchHole } from "./logs/free.ts";
import type { LogPiece } from "./logs/piece.ts";
import { openPositions } from "./logs/positions.ts";
import { LogShipper } from "./logs/shipper.ts";
import type { ProcessHost } from "./process/host.ts";
import type { Shell } from "./shell.ts";
import type { LinkTracing } from "./telemetry/tracing.ts";
import { processClock, type Clock } from "../schema/kit/clock.ts";
import { reached } from "../schema/kit/failpoint.ts";
import type { Log } from "../schema/kit/log.ts";
import { systemDice } from "../schema/kit/random.ts";
import { protocolVersion, type Logs } from "../schema/messages.ts";

/** A link, not started, that tells the core and the shipper of its connections. Throws a sentence when the broker's address cannot be used. */
export function makeLink(
  config: WorkerConfig,
  deps: {
    readonly epoch: string;
    readonly shell: Shell;
    readonly logs: LogShipper;
    readonly log: Log;
    readonly tracing: LinkTracing | undefined;
  },
): Link {
  const { epoch, shell, logs, log, tracing } = deps;
  return new Link({
    connector: mqttConnector(config.broker),
    prefix: config.topicPrefix,
    pool: config.pool,
    workerId: config.workerId,
    epoch,
    up(connection) {
      shell.put({ kind: "connected", connection });
      logs.up();
    },
    down() {
      shell.put({ kind: "disconnected" });
      logs.down();
    },
    take: (payload) => shell.offer(payload),
    random: () => systemDice.below(1_000_000) / 1_000_000,
    log,
    tracing,
  });
}

export interface ShipperParts {
  /** The agent's own folder. */
  readonly folder: string;
  readonly epoch: string;
  readonly host: ProcessHost;
  /** The host's boot-time clock, whose mono every uplink carries. */
  readonly clock: Clock;
  readonly link: () => Link;
  readonly log: Log;
}

export function makeShipper(config: WorkerConfig, parts: ShipperParts): LogShipper {
  const { folder, epoch, host, clock, link, log } = parts;
  const send = (piece: LogPiece): void => {
    const message: Logs = {
      v: protocolVersion,
      epoch,
      connection: link().connection,
      mono: clock.now().mono,
      start: 1,
      ...piece,
    };
    reached("s09", piece);
    void link().publish("logs", message);
  };
  return new LogShipper({
    folderOf: (attempt) => host.folderOf(attempt),
    remove: (attempt) => host.remove(attempt),
    send,
    freeBytes: punchHole,
    positions: openPositions(join(folder, "shipped")),
    logSpoolBytes: config.limits.logSpoolBytes,
    clock: processClock,
    log,
  });
}
