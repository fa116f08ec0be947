/** A manager, put together: store, engines, wire, API. Everything it starts, close() stops, in the reverse order. */
import type { Connector } from "../broker/broker.ts";
import type { Credentials } from "../broker/credentials-check.ts";
import { startEmbeddedBroker, type EmbeddedBroker } from "../broker/embedded.ts";
import { mqttConnector } from "../broker/mqtt.ts";
import { managerUsername } from "../schema/ids.ts";
import { pause } from "../schema/kit/backoff.ts";
import { processClock } from "../schema/kit/clock.ts";
import type { Log } from "../schema/kit/log.ts";
import { shortId, systemDice } from "../schema/kit/random.ts";
import { apiLimits, timing } from "../schema/limits.ts";
import { ensureAdminToken } from "./admin.ts";
import type { ManagerConfig } from "./config.ts";
import type { ControlState } from "./control/state.ts";
import type { PoolEngine } from "./engine/engine.ts";
import { EventFeed } from "./engine/plane.ts";
import { watchTogether } from "./engine/watch.ts";
import { makeEngines } from "./engines.ts";
import { Link, type LinkDeps } from "./link/link.ts";
import { LogIntake } from "./link/log-intake.ts";
import { Outbox } from "./link/outbox.ts";
import { announcedAddress } from "./peers/address.ts";
import type { Holder } from "./peers/holder.ts";
import { openPeers, type Peers, type PeersDeps } from "./peers/peers.ts";
import { revokeRemoved } from "./revoke.ts";
import { startApi } from "./start-api.ts";
import { loadStore } from "./store/load.ts";
import type { LogStore } from "./store/logstore.ts";
import type { Store } from "./store/store.ts";
import { countEngine } from "./telemetry/metrics-engine.ts";
import type { WireParts } from "./telemetry/metrics-wire.ts";
import { traceManager, type ManagerTracing } from "./telemetry/tracing.ts";

export interface Manager {
  readonly url: string;
  /** Where workers connect; null with an external broker. */
  readonly brokerPort: number | null;
  /** The admin token, when it was made here: the only time that anybody sees it. */
  readonly adminToken: string | undefined;
  /** Resolves when a loop that must not end has ended by an error: a bug, and the process should go. */
  readonly failed: Promise<unknown>;
  close(): Promise<void>;
}

/** Starts a manager. Rejects with a sentence when something it needs is not there (port, database, broker's own port). */
export async function runManager(config: ManagerConfig, log: Log): Promise<Manager> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).toReversed()) await closer();
  };
  try {
    return await assemble(config, log, closers, close);
  } catch (error) {
    await close();
    throw error;
  }
}

async function assemble(
  config: ManagerConfig,
  log: Log,
  closers: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<Manager> {
  const openStore = await loadStore();
  const { store, logs, credentials } = await openStore(config.databaseUrl, {
    dataDir: config.dataDir,
    log,
    credentialsFile: config.credentialsFile,
  });
  closers.push(async () => await store[Symbol.asyncDispose]());
  const adminToken = await ensureAdminToken(credentials.book, config.adminToken);
  const embedded = await startEmbedded(config, credentials.verify, log);
  if (embedded) closers.push(() => embedded.close());

  const feed = new EventFeed();
  const revoking = new AbortController();
  closers.push(async () => revoking.abort());
  const kick = embedded ? { kick: (username: string) => void embedded.kick(username) } : {};
  const revoke = { book: credentials.book, log, signal: revoking.signal, ...kick };
  feed.subscribe((events) => void revokeRemoved(events, revoke));
  const stateOf = (pool: string): ControlState | undefined => engines.get(pool)?.lead?.state;
  const tracing = await traceManager(config, { clock: processClock, log, stateOf });
  closers.push(async () => await tracing?.close());
  const outbox = makeOutbox(config, tracing, log);
  const counts = countEngine(config.pools, stateOf);
  feed.subscribe(counts.events);
  const watch = tracing ? watchTogether([counts.watch, tracing.watch]) : counts.watch;
  const self: Holder = { name: `manager-${shortId()}`, address: announcedAddress(config) };
  let onLead = (_pool: string): void => undefined;
  const engines = await makeEngines({ config, store, feed, outbox, log, watch, self, onLead: (pool) => onLead(pool) });
  const peers = store.leaseIsLock ? undefined : await openPeers(peersDeps(config, { self, embedded, engines, store, log }));
  closers.push(async () => peers?.close());
  for (const engine of engines.values()) engine.start();
  const stopEngines = (): Promise<void> => stopAll(engines.values(), peers);
  closers.push(stopEngines);

  const { link, intake } = makeLink(config, { embedded, store, logs, engines, outbox, log });
  onLead = (pool) => {
    peers?.forwarder.look(pool);
    link.lead(pool);
  };
  link.start();
  closers.push(async () => {
    await link.stop();
    await intake.settled();
  });

  const wire: WireParts = { link, outbox, intake, embedded };
  const api = await startApi({
    config,
    store,
    logs,
    credentials: credentials.verify,
    engines,
    feed,
    wire,
    counts,
    tracing,
    peers,
    log,
  });
  closers.push(() => closeApi(api, stopEngines));
  log.info({ url: api.url, brokerPort: embedded?.port ?? null, pools: config.pools }, "manager is up");
  const failed = Promise.race([...engines.values(), link].map((service) => service.failed));
  return { url: api.url, brokerPort: embedded?.port ?? null, adminToken, failed, close };
}

interface LinkParts extends Pick<LinkDeps, "outbox" | "log"> {
  readonly embedded: EmbeddedBroker | undefined;
  readonly store: Store;
  readonly logs: LogStore;
  readonly engines: ReadonlyMap<string, PoolEngine>;
}

function makeLink(
  config: ManagerConfig,
  { embedded, store, logs, ...rest }: LinkParts,
): { readonly link: Link; readonly intake: LogIntake } {
  const intake = new LogIntake({
    logs,
    store,
    log: rest.log,
    streamBytes: config.limits.logStreamBytes,
    acknowledge: (pool, workerId, item) => rest.engines.get(pool)?.acknowledgeLogs(workerId, item),
  });
  const { connector, clientId } = wireOf(config, embedded);
  const random = (): number => systemDice.below(1_000_000) / 1_000_000;
  return { intake, link: new Link({ ...rest, connector, clientId, prefix: config.topicPrefix, intake, random }) };
}

function peersDeps(
  config: ManagerConfig,
  parts: { readonly embedded: EmbeddedBroker | undefined } & Pick<PeersDeps, "self" | "engines" | "store" | "log">,
): PeersDeps {
  const { embedded, ...rest } = parts;
  return {
    ...rest,
    broker: embedded ? "inside" : "apart",
    clock: processClock,
    answerWithinMs: timing.answerWithinMs,
    leaseRenewMs: config.timing.leaseRenewMs,
  };
}

function makeOutbox(config: ManagerConfig, tracing: ManagerTracing | undefined, log: Log): Outbox {
  return new Outbox(
    config.topicPrefix,
    (workerId, item, bytes) => log.error({ workerId, item: item.kind, bytes }, "an item is larger than a message may be"),
    tracing?.down,
  );
}

async function stopAll(engines: Iterable<PoolEngine>, peers: Peers | undefined): Promise<void> {
  peers?.forwarder.close();
  await Promise.all([...engines].map((engine) => engine.stop()));
}

async function closeApi(api: { close(): Promise<void> }, stopEngines: () => Promise<void>): Promise<void> {
  const closed = api.close();
  // Who waits for a commit that does not come is told so, and only then cut off.
  const patience = new AbortController();
  await Promise.race([closed, pause(apiLimits.closeAnswersMs, patience.signal)]);
  patience.abort();
  await stopEngines();
  await closed;
}

async function startEmbedded(config: ManagerConfig, credentials: Credentials, log: Log): Promise<EmbeddedBroker | undefined> {
  if (config.broker.kind !== "embedded") return undefined;
  const { tls } = config.broker;
  return await startEmbeddedBroker({
    host: config.brokerHost,
    port: config.brokerPort,
    credentials,
    prefix: config.topicPrefix,
    log,
    ...(tls ? { tls } : {}),
  });
}

function wireOf(
  config: ManagerConfig,
  embedded: EmbeddedBroker | undefined,
): { readonly connector: Connector; readonly clientId: string } {
  if (embedded) return { connector: embedded.connector(), clientId: managerUsername };
  if (config.broker.kind === "embedded") throw new Error("the embedded broker was not started");
  // Two managers share the username; the same client id would make them take over from each other for ever.
  return { connector: mqttConnector(config.broker), clientId: `${managerUsername}.${shortId()}` };
}
