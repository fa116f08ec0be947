import { isLoopback } from "../broker/config.ts";
import type { ManagerConfig } from "./config.ts";
import { plainMariadb } from "./store/mariadb/address.ts";

/** What the configuration makes worth a warning in `/health`. */
export function warningsOf(config: ManagerConfig): { readonly name: string; readonly sentence: string }[] {
  const warnings: { name: string; sentence: string }[] = [];
  if (!isLoopback(config.httpHost) && !config.publicUrl.startsWith("https:")) {
    warnings.push({
      name: "http",
      sentence: `the API listens on ${config.httpHost} without TLS; put a proxy that ends TLS before it, and give its address as MUSTER_MANAGER_URL=https://…`,
    });
  }
  if (config.broker.kind === "embedded" && !config.broker.tls && !isLoopback(config.brokerHost)) {
    warnings.push({
      name: "broker-tls",
      sentence: `the embedded broker listens on ${config.brokerHost} without TLS; use it inside a trusted network only`,
    });
  }
  const address = plainMariadb(config.databaseUrl);
  if (address !== undefined) {
    warnings.push({
      name: "database-tls",
      sentence: `the database at ${address} is reached without TLS; give ?tlsCa=<file> in MUSTER_DATABASE_URL, or use it inside a trusted network only`,
    });
  }
  return warnings;
}
