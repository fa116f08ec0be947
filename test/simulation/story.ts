/** Lines of a story, for people. */
import type { UplinkKind } from "../../schema/topics.ts";
import type { Request } from "../../manager/control/inputs.ts";
import type { Command } from "../../manager/control/outputs.ts";
import type { EventRecord } from "../../manager/control/records.ts";
import type { Heard } from "./asking.ts";

export type EventText = Pick<EventRecord, "number" | "kind" | "runId" | "attemptId" | "workerId" | "data">;

/** What a worker said. */
export function uplinkText(kind: UplinkKind, message: object): string {
  const { items, inventory, st, cn } = message as {
    items?: readonly { seq: number; kind: string; attempt: string; end?: unknown }[];
    inventory?: { items: readonly { attempt: string; state: string }[] };
    st?: string;
    cn?: number;
  };
  if (kind === "reports")
    return (items ?? [])
      .map((one) => `${one.seq}: ${one.kind} ${one.attempt} ${one.end ? JSON.stringify(one.end) : ""}`)
      .join(", ");
  if (kind === "hello") return `[${inventory?.items.map((one) => `${one.attempt} ${one.state}`).join(", ") ?? ""}]`;
  return kind === "status" ? `${st} ${cn}` : "";
}

/** One item of a command. */
export function itemText(item: Command["items"][number]): string {
  switch (item.kind) {
    case "start":
    case "stop":
    case "signal":
      return `${item.kind} ${item.attempt}`;
    case "ask":
      return `ask ${[...(item.attempts ?? []), ...(item.hello ? ["hello"] : [])].join(" ")}`;
    case "ack":
      return `ack ${item.seq}`;
    case "sync":
      return item.refused === undefined
        ? `sync keep [${item.keep?.join(" ") ?? ""}] stop [${item.stop?.join(" ") ?? ""}]`
        : `sync refused: ${item.refused}`;
    case "logsAck":
    case "settings":
    case "drain":
      return item.kind;
  }
}

/** What a client heard. */
export function answerText(heard: Heard): string {
  if (heard.kind === "problem") return `${heard.problem.code} (${heard.problem.detail})`;
  return heard.kind === "run" ? `run ${heard.run.id} ${heard.run.state}` : heard.kind;
}

/** What a client asked. */
export function requestText(request: Request): string {
  const { kind } = request;
  if (kind === "startRun") return `start ${request.item.runId} for ${request.item.params["who"]}`;
  const about = "runId" in request ? request.runId : "workerId" in request ? request.workerId : "";
  return `${kind} ${about}`;
}

/** One committed event. */
export function eventText(row: EventText): string {
  const about = [row.runId, row.attemptId, row.workerId].filter((id) => id !== null).join(" ");
  return `${row.number} ${row.kind} ${about} ${JSON.stringify(row.data)}`;
}
