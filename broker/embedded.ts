/**
 * The embedded broker: aedes with in-memory persistence, behind guards of our own. It keeps nothing (promise 6): whoever
 * needs a message to survive keeps it and sends it again.
 */
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { Aedes, type Client } from "aedes";
import { processClock, type Clock } from "../schema/kit/clock.ts";
import type { Log } from "../schema/kit/log.ts";
import { brokerLimits } from "../schema/limits.ts";
import type { ClientVerifier } from "./access.ts";
import type { Connector } from "./broker.ts";
import "./packets.ts";
import { makeDoor, type Door, type Tally } from "./door.ts";
import { guardStream } from "./guard.ts";
import { inProcessClients } from "./inprocess.ts";
import { lookForStatusesOnly, type RetainedLookup } from "./retained.ts";

export interface EmbeddedBrokerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly credentials: ClientVerifier;
  readonly prefix: string;
  readonly log: Log;
  /** PEM. With `ca`, clients must show a certificate that it signed. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer; readonly ca?: string | Buffer };
  readonly clock?: Clock;
}

export interface BrokerFigures extends Readonly<Tally> {
  /** Clients over sockets that have been let in. */
  readonly connected: number;
}

export interface EmbeddedBroker extends AsyncDisposable {
  readonly port: number;
  /** This process's own connections, for the manager: no password, no socket; the bounds and the prefix hold all the same. */
  connector(): Connector;
  figures(): BrokerFigures;
  /** Ends the connections of a username (in process: of a client id) without a goodbye, so that wills are published. Returns how many. */
  kick(username: string): number;
  /** Ends in-process connections first, then the others; no will is published, because it is the broker that leaves. */
  close(): Promise<void>;
}

/** Rejects with a sentence that names host and port when it cannot listen. */
export async function startEmbeddedBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  const { prefix, log } = options;
  if (!prefix || /^\$|[+#\s\0]/.test(prefix))
    throw new Error(`the topic prefix ${JSON.stringify(prefix)} must not be empty, begin with $ or contain +, # or spaces`);
  const tally: Tally = {
    connects: 0,
    refusedConnects: 0,
    deniedPublishes: 0,
    deniedSubscribes: 0,
    oversizedPackets: 0,
    droppedDeliveries: 0,
  };
  const retained = new Map<string, Buffer>();
  const clients = new Map<string, Client>();
  let leaving = false;
  const door: Door = makeDoor({
    credentials: options.credentials,
    prefix,
    log,
    clock: options.clock ?? processClock,
    tally,
    retained,
    leaving: () => leaving,
    connected: (clientId) => {
      const client = clients.get(clientId);
      return client && door.identityOf(client);
    },
  });
  const aedes = await makeAedes(door, clients, log);
  lookForStatusesOnly((aedes as Aedes & { readonly persistence: RetainedLookup }).persistence, prefix);
  const local = inProcessClients({ aedes, prefix, retained, log });
  const server = makeServer(options, aedes, tally);
  try {
    await listen(server.server, options);
  } catch (error) {
    await closeAedes(aedes);
    throw error;
  }

  const close = async (): Promise<void> => {
    if (leaving) return;
    leaving = true;
    local.endAll("the embedded broker has stopped");
    const stopped = new Promise((done) => server.server.close(done));
    await closeAedes(aedes);
    for (const socket of server.sockets) socket.destroy();
    await stopped;
  };
  return {
    port: (server.server.address() as AddressInfo).port,
    connector: () => local.connector,
    figures: () => ({ connected: clients.size, ...tally }),
    kick(username) {
      const theirs = [...clients.values()].filter((client) => door.identityOf(client)?.username === username);
      for (const client of theirs) client.close();
      return theirs.length + (local.cut(username, "cut by the broker") ? 1 : 0);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function makeAedes(door: Door, clients: Map<string, Client>, log: Log): Promise<Aedes> {
  const aedes = await Aedes.createBroker({
    ...door.hooks,
    concurrency: brokerLimits.concurrency,
    connectTimeout: brokerLimits.connectTimeoutMs,
    drainTimeout: brokerLimits.drainTimeoutMs,
    keepaliveLimit: brokerLimits.keepaliveSecondsMax,
    maxInflightInbound: brokerLimits.qos2InFlight,
    maxTopicLevels: brokerLimits.topicLevels,
    // At four times this interval aedes publishes the wills of brokers that it has not heard for three, itself included:
    // after a suspend of the host, those of clients that live. There is one broker here, so about never (but under 2^31 / 4).
    heartbeatInterval: 500_000_000,
  });
  aedes.on("client", (client) => clients.set(client.id, client));
  aedes.on("clientDisconnect", (client) => {
    // After a takeover the id belongs to the newer connection.
    if (clients.get(client.id) === client) clients.delete(client.id);
  });
  aedes.on("unsubscribe", (filters, client) => door.unsubscribed(client, filters));
  aedes.on("clientError", (client, error) =>
    log.info({ clientId: client.id, why: error.message }, "a client's connection broke"),
  );
  aedes.on("connectionError", (_client, error) => log.debug({ why: error.message }, "a connection broke before it was let in"));
  // aedes' own: the in-memory persistence cannot fail, so this is a bug, and a broker that goes on would hide it.
  (aedes as NodeJS.EventEmitter).on("error", (error: Error) => {
    throw new Error("the embedded broker failed", { cause: error });
  });
  return aedes;
}

function closeAedes(aedes: Aedes): Promise<void> {
  return new Promise((done) => aedes.close(done));
}

function makeServer(
  options: EmbeddedBrokerOptions,
  aedes: Aedes,
  tally: Tally,
): { readonly server: Server; readonly sockets: ReadonlySet<Socket> } {
  const sockets = new Set<Socket>();
  const accept = (socket: Socket): void => {
    // Without it each small message waits for the acknowledgement of the one before: 20 ms instead of 0.4 ms, measured.
    socket.setNoDelay(true);
    const from = socket.remoteAddress;
    aedes.handle(
      guardStream(socket, (packetBytes) => {
        tally.oversizedPackets += 1;
        options.log.warn(
          { from, packetBytes, count: tally.oversizedPackets },
          `cut a connection: a packet is over the bound of ${brokerLimits.packetBytes} bytes`,
        );
      }),
    );
  };
  const { tls } = options;
  const server = tls
    ? createTlsServer(
        {
          cert: tls.cert,
          key: tls.key,
          handshakeTimeout: brokerLimits.connectTimeoutMs,
          ...(tls.ca ? { ca: tls.ca, requestCert: true, rejectUnauthorized: true } : {}),
        },
        accept,
      )
    : createServer(accept);
  server.maxConnections = brokerLimits.connections;
  // Every socket from its first moment, so that close() need not wait for a handshake that never ends.
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return { server, sockets };
}

function listen(server: Server, { host, port, log }: EmbeddedBrokerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.on("error", (error: NodeJS.ErrnoException) => {
      if (server.listening) return log.error({ err: error }, "a connection could not be accepted");
      const why =
        error.code === "EADDRINUSE"
          ? "another program listens there; set MUSTER_BROKER_PORT to a free port, or end that program"
          : error.message;
      reject(new Error(`the embedded broker cannot listen on ${host}:${port}: ${why}`, { cause: error }));
    });
    server.listen(port, host, resolve);
  });
}
