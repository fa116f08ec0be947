/** What the API is given, and the parts that its routes share. */
import type { TokenVerifier } from "../../broker/credentials-check.ts";
import type { Dice } from "../../schema/given.ts";
import type { Clock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import type { Exposition } from "../../schema/kit/metrics/exposition.ts";
import type { ControlPlane } from "../plane.ts";
import type { LogStore } from "../store/logstore.ts";
import type { BodyStore, ReadStore, SessionStore } from "../store/store.ts";
import type { Answered } from "../telemetry/metrics-http.ts";
import type { TraceRequest } from "../telemetry/tracing-http.ts";
import type { HealthView } from "./health-view.ts";
import type { EventHub } from "./hub.ts";
import type { PoolFinder } from "./pools.ts";
import type { RateLimiter } from "./rate.ts";
import type { AnyRoute } from "./route.ts";
import type { Sessions } from "./sessions.ts";
import type { StreamBook } from "./streams.ts";

/** Bounds that an operator or a test may set; the defaults are in `schema/limits.ts`. */
export interface ApiLimits {
  readonly requestsPerSecondPerToken: number;
  readonly requestBurstPerToken: number;
  readonly sseClients: number;
  readonly sseBufferBytes: number;
  readonly streamBeatMs: number;
  readonly streamRecheckMs: number;
  /** The shortest `lostAfterSeconds` that a task with `onLost: retry` may have (rule 8). */
  readonly workerLostAfterSeconds: number;
}

export interface ApiDeps {
  readonly plane: ControlPlane;
  readonly store: ReadStore & BodyStore & SessionStore;
  readonly logs: LogStore;
  readonly credentials: TokenVerifier;
  readonly clock: Clock;
  readonly dice: Dice;
  readonly log: Log;
  readonly metrics: Pick<Exposition, "text">;
  /** Told of each answer; it counts and returns. */
  readonly answered?: (answer: Answered) => void;
  readonly limits?: Partial<ApiLimits>;
  readonly version: string;
  /** Where browsers find this manager, such as `https://muster.example`; null: wherever they ask. */
  readonly publicUrl: string | null;
  /** Absent: no spans are made. */
  readonly traceRequest?: TraceRequest;
}

/** What every route works with. */
export interface ApiParts extends Omit<ApiDeps, "limits"> {
  readonly limits: ApiLimits;
  /** All of them, for the document. */
  readonly routes: readonly AnyRoute[];
  readonly hub: EventHub;
  readonly streams: StreamBook;
  readonly sessions: Sessions;
  readonly rate: RateLimiter;
  /** Of posted tokens, everybody together: who posts one has no name yet. */
  readonly signIns: RateLimiter;
  /** What `/health` says, asked of the plane at most once in `healthKeptMs`. */
  readonly health: () => Promise<HealthView>;
  readonly pools: PoolFinder;
  /** A fresh name for a request, in its answer and in the log. */
  readonly requestId: () => string;
  /** What every answer carries. */
  readonly headers: Readonly<Record<string, string>>;
  /** True when browsers come by https, as the public address says: cookies are then `Secure`. */
  readonly secure: boolean;
}
