/** From a broker's url to a socket, and from a failure to a sentence that says what to do. */
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, createSecureContext } from "node:tls";
import { commandOf } from "../schema/command.ts";

const addWorker = commandOf("worker:add", "<id>");

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  /** As it is shown in sentences: never with a password. */
  readonly url: string;
}

/** Reads `mqtt://host[:port]` or `mqtts://host[:port]`; throws a sentence otherwise. */
export function parseBrokerUrl(text: string): BrokerAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url?.hostname || (url.protocol !== "mqtt:" && url.protocol !== "mqtts:")) {
    throw new Error("the broker's url must be mqtt://host:port or mqtts://host:port");
  }
  if (url.username || url.password)
    throw new Error("the broker's url must not contain a username or password; they have settings of their own");
  if ((url.pathname !== "" && url.pathname !== "/") || url.search || url.hash)
    throw new Error("the broker's url must end after the port");
  const secure = url.protocol === "mqtts:";
  const port = url.port ? Number(url.port) : secure ? 8883 : 1883;
  // Node takes an IPv6 address without its brackets.
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return { host, port, secure, url: `${url.protocol}//${url.hostname}:${port}` };
}

/** PEM: the authorities to trust instead of the system's, and the client's own certificate with its key. */
export interface TlsFiles {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
}

/** Throws a sentence when the certificates cannot be used, so that it is known at start and not at the first connection. */
export function checkTlsFiles({ ca, cert, key }: TlsFiles): void {
  if ((cert === undefined) !== (key === undefined))
    throw new Error("a client certificate for the broker needs its key, and a key its certificate");
  try {
    createSecureContext({ ...(ca ? { ca } : {}), ...(cert ? { cert } : {}), ...(key ? { key } : {}) });
  } catch (error) {
    throw new Error(`the CA, certificate or key for the broker is not PEM that can be used: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Dials; errors come as the socket's own events. */
export function openSocket({ host, port, secure }: BrokerAddress, { ca, cert, key }: TlsFiles): Socket {
  const socket = secure
    ? connectTls({
        host,
        port,
        ...(isIP(host) ? {} : { servername: host }),
        ...(ca ? { ca } : {}),
        ...(cert ? { cert } : {}),
        ...(key ? { key } : {}),
      })
    : connectTcp({ host, port });
  // Without it each small message waits for the acknowledgement of the one before: 20 ms instead of 0.4 ms, measured.
  return socket.setNoDelay(true);
}

/** One sentence for a connection that ended, or that never was (`wasOpen` false). `failure` is what MQTT.js or the socket threw. */
export function whyFailed({ url, secure }: BrokerAddress, failure: unknown, wasOpen: boolean): string {
  const { code, message } = (failure ?? {}) as { readonly code?: unknown; readonly message?: string };
  if (typeof code === "number" && !wasOpen) return `the broker at ${url} refused the connection: ${connackSentence(code)}`;
  if (wasOpen)
    return message === undefined
      ? `the broker at ${url} closed the connection`
      : `the connection to the broker at ${url} broke: ${message}`;
  const says = (why: string): string => `no connection to the broker at ${url}: ${why}`;
  switch (code) {
    case "ECONNREFUSED":
      return says("nothing listens there; is the broker running?");
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return says("the host name is unknown here");
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ETIMEDOUT":
      return says("the host does not answer; look at the network and firewalls");
    case "ECONNRESET":
    case "EPIPE":
      return says(
        secure
          ? "it closed the connection; does it speak TLS on this port, and want a client certificate?"
          : "it closed the connection; does it want TLS (mqtts://)?",
      );
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
      return says(`its certificate is not signed by an authority that is trusted here; give its CA (${code})`);
    case "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED":
      return says("it wants a client certificate; give MUSTER_BROKER_CERT and MUSTER_BROKER_KEY");
    case "ERR_SSL_WRONG_VERSION_NUMBER":
      return says("it does not speak TLS on this port; is it mqtt://, or another port?");
    case "CERT_HAS_EXPIRED":
      return says("its certificate has expired");
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return says("its certificate is for another host name");
    case undefined:
      if (message === "connack timeout") return says("it accepted the connection but did not answer; is it an MQTT broker?");
      if (message === undefined) {
        const certificate = secure ? "; does it want a client certificate that it trusts?" : "";
        return says(`it closed the connection before it answered${certificate}`);
      }
  }
  // The server's own word [RFC 8446, 6.2]: unknown_ca, bad_certificate, certificate_unknown, handshake_failure and their like.
  if (typeof code === "string" && /^ERR_SSL_.*ALERT/.test(code)) {
    const alert = code
      .replace(/^ERR_SSL_.*ALERT_/, "")
      .toLowerCase()
      .replaceAll("_", " ");
    return says(
      `it does not accept this client's certificate, or wants one (${alert}); MUSTER_BROKER_CERT and MUSTER_BROKER_KEY must be signed by an authority that it trusts`,
    );
  }
  return says(message ?? String(code));
}

function connackSentence(returnCode: number): string {
  switch (returnCode) {
    case 1:
      return "it does not speak MQTT 3.1.1";
    case 2:
      return "it does not accept the client id (a worker's must be its username)";
    case 3:
      return "it says that it is not available now";
    case 4:
      return `wrong username or password; a worker's password is made by \`${addWorker}\` beside the manager (MUSTER_BROKER_PASSWORD)`;
    case 5:
      return `not authorized: was MUSTER_BROKER_PASSWORD given? A worker's is made by \`${addWorker}\` beside the manager; the broker's log says more`;
    case 6:
      return "the keepalive is longer than it allows";
  }
  return `return code ${returnCode}`;
}
