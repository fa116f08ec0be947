/** Counts that the wire's own parts keep: read where they lie, whenever somebody asks. */
import type { BrokerFigures } from "../../broker/embedded.ts";
import { reading, type Family } from "../../schema/kit/metrics/families.ts";
import { uplinkKinds } from "../../schema/topics.ts";
import type { Link } from "../link/link.ts";
import type { LogIntake } from "../link/log-intake.ts";
import type { Outbox } from "../link/outbox.ts";

export interface WireParts {
  readonly link: Pick<Link, "figures" | "state">;
  readonly outbox: Pick<Outbox, "figures">;
  readonly intake: Pick<LogIntake, "figures">;
  /** The broker inside this manager, where there is one. */
  readonly embedded: { figures(): BrokerFigures } | undefined;
}

export function wireFamilies({ link, outbox, intake, embedded }: WireParts): readonly Family[] {
  const counter = (name: string, help: string, labels: readonly string[] = []) =>
    ({ name, help, type: "counter", labels }) as const;
  const gauge = (name: string, help: string) => ({ name, help, type: "gauge", labels: [] }) as const;
  return [
    reading(gauge("muster_broker_connected", "1 while this manager is connected to the broker and subscribed."), (put) =>
      put(link.state.up ? 1 : 0),
    ),
    reading(
      counter("muster_messages_total", "MQTT messages: up, as they came; down, taken by the broker.", ["direction", "kind"]),
      (put) => {
        for (const kind of uplinkKinds) put(link.figures.byKind[kind], "up", kind);
        put(outbox.figures.published, "down", "commands");
      },
    ),
    reading(counter("muster_message_bytes_total", "Payload bytes of these messages.", ["direction"]), (put) => {
      put(link.figures.receivedBytes, "up");
      put(outbox.figures.publishedBytes, "down");
    }),
    reading(
      counter("muster_messages_dropped_total", "Messages, and items of them, that went no further; what matters comes again.", [
        "direction",
        "why",
      ]),
      (put) => {
        put(link.figures.tooLarge, "up", "tooLarge");
        put(link.figures.unreadable - link.figures.tooLarge, "up", "unreadable");
        put(link.figures.overflow, "up", "tooManyWaiting");
        put(intake.figures.dropped, "up", "outputWaiting");
        put(intake.figures.foreign, "up", "foreignOutput");
        put(outbox.figures.lost, "down", "notTaken");
        put(outbox.figures.tooLarge, "down", "tooLarge");
      },
    ),
    reading(counter("muster_log_bytes_stored_total", "Bytes of runs' output that were stored."), (put) =>
      put(intake.figures.storedBytes),
    ),
    reading(
      counter("muster_log_failures_total", "Pieces of output that could not be stored; the worker sends them again."),
      (put) => put(intake.figures.failed),
    ),
    reading(gauge("muster_embedded_broker_clients", "Clients that the broker inside this manager has let in."), (put) => {
      if (embedded) put(embedded.figures().connected);
    }),
    reading(counter("muster_embedded_broker_connects_total", "Connections that asked the broker inside to be let in."), (put) => {
      if (embedded) put(embedded.figures().connects);
    }),
    reading(counter("muster_embedded_broker_refusals_total", "What the broker inside refused or dropped.", ["what"]), (put) => {
      if (!embedded) return;
      const figures = embedded.figures();
      put(figures.refusedConnects, "connect");
      put(figures.deniedPublishes, "publish");
      put(figures.deniedSubscribes, "subscribe");
      put(figures.oversizedPackets, "oversizedPacket");
      put(figures.droppedDeliveries, "delivery");
    }),
  ];
}
