/** A tiny OTLP receiver: takes spans as http/json, and says what trees they make. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface SeenSpan {
  readonly service: string;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: a root. */
  readonly parentSpanId: string;
  readonly name: string;
  /** OTLP: 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly startNano: bigint;
  readonly endNano: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** OTLP: 2 is an error. */
  readonly status: number;
  readonly traceState: string;
}

interface Value {
  readonly stringValue?: string;
  readonly intValue?: string | number;
  readonly boolValue?: boolean;
  readonly doubleValue?: number;
  readonly arrayValue?: { readonly values: readonly Value[] };
}
type Pairs = readonly { readonly key: string; readonly value: Value }[];

/** Spans whose parent has not come, or never will: a root's. */
export function orphansIn(spans: readonly SeenSpan[]): readonly SeenSpan[] {
  const ids = new Set(spans.map((span) => span.spanId));
  return spans.filter((span) => !ids.has(span.parentSpanId));
}

export class OtlpReceiver implements AsyncDisposable {
  readonly spans: SeenSpan[] = [];
  /** Answers with this status instead of taking anything. */
  refuseWith: number | undefined;
  refused = 0;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<OtlpReceiver> {
    const server = createServer();
    const receiver = new OtlpReceiver(server);
    server.on("request", (request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        if (receiver.refuseWith !== undefined) {
          receiver.refused += 1;
          response.writeHead(receiver.refuseWith).end();
          return;
        }
        if (request.url === "/v1/traces") receiver.#take(JSON.parse(Buffer.concat(parts).toString()));
        response.writeHead(200, { "content-type": "application/json" }).end("{}");
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return receiver;
  }

  /** What makes a manager or a worker send its spans here. */
  get env(): Readonly<Record<string, string>> {
    const { port } = this.#server.address() as AddressInfo;
    return { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" };
  }

  trace(traceId: string): readonly SeenSpan[] {
    return this.spans.filter((span) => span.traceId === traceId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** OTLP's JSON, as the SDK writes it. */
  #take(body: any): void {
    for (const { resource, scopeSpans } of body.resourceSpans) {
      const about = plain(resource.attributes);
      for (const { spans } of scopeSpans)
        for (const span of spans)
          this.spans.push({
            service: String(about["service.name"]),
            resource: about,
            traceId: span.traceId,
            spanId: span.spanId,
            parentSpanId: span.parentSpanId ?? "",
            name: span.name,
            kind: span.kind,
            startNano: BigInt(span.startTimeUnixNano),
            endNano: BigInt(span.endTimeUnixNano),
            attributes: plain(span.attributes),
            links: span.links ?? [],
            status: span.status?.code ?? 0,
            traceState: span.traceState ?? "",
          });
    }
  }
}

function plain(pairs: Pairs = []): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, plainValue(value)]));
}

function plainValue(value: Value): unknown {
  if (value.arrayValue) return value.arrayValue.values.map(plainValue);
  if (value.intValue !== undefined) return Number(value.intValue);
  return value.stringValue ?? value.boolValue ?? value.doubleValue;
}
