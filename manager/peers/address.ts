/** Where other managers reach this one. */
import { networkInterfaces } from "node:os";
import { hostInUrl } from "../../broker/config.ts";

export interface Listening {
  /** MUSTER_MANAGER_ADDRESS. */
  readonly address: string | null;
  readonly httpHost: string;
  readonly httpPort: number;
}

/**
 * What was configured; else where the API listens. A manager that listens on every address of its host announces the first one
 * that is not only the host's own. Null: none can be had, such as with a port that is not known yet.
 */
export function announcedAddress({ address, httpHost, httpPort }: Listening, hostAddress = firstHostAddress): string | null {
  if (address !== null) return address.replace(/\/+$/, "");
  if (httpPort === 0) return null;
  const host =
    httpHost === "0.0.0.0" || httpHost === "::" || httpHost === "[::]" ? hostAddress() : httpHost.replace(/^\[|\]$/g, "");
  return host === undefined ? null : `http://${hostInUrl(host)}:${httpPort}`;
}

/** Of version 4 before 6; link-local ones need the name of an interface, which means nothing elsewhere. */
function firstHostAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const outer = all.filter(({ internal, address }) => !internal && !/^(169\.254\.|fe80:)/i.test(address));
  return (outer.find(({ family }) => family === "IPv4") ?? outer[0])?.address;
}
