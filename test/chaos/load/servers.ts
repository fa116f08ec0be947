/** The servers that nearly every scenario of load and outage needs: a real database and a real broker. */
import type { BrokerServer } from "../../kit/broker-server.ts";
import { mariadbMissing, MariadbServer } from "../../kit/mariadb.ts";
import { mosquittoMissing, startMosquitto } from "../../kit/mosquitto.ts";
import type { Findings, Scenario, Size } from "../scenario.ts";

export interface Servers {
  readonly server: MariadbServer;
  readonly broker: BrokerServer;
}

/** A scenario that can also be played on servers that are there already, as a file of tests does to save time. */
export interface ServedScenario extends Scenario {
  /** Workers that the broker must let in. */
  readonly workers: readonly string[];
  playOn(servers: Servers, size: Size, say: (line: string) => void): Promise<Findings>;
}

/** Adds to a scenario how it starts its own servers. */
export function served(scenario: Pick<ServedScenario, "name" | "about" | "workers" | "playOn">): ServedScenario {
  return {
    ...scenario,
    missing: serversMissing,
    async play(size, say) {
      await using server = await MariadbServer.start();
      await using broker = await startMosquitto({ workers: scenario.workers });
      return await scenario.playOn({ server, broker }, size, say);
    },
  };
}

/** Why such a scenario cannot be played here; undefined when it can. */
export function serversMissing(): string | undefined {
  return mariadbMissing() ?? mosquittoMissing;
}
