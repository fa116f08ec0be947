/** Where other managers ask this one. It answers of what it leads itself and asks nobody: nothing is forwarded twice. */
import { sha256Hex } from "../../schema/digest.ts";
import type { Clock } from "../../schema/kit/clock.ts";
import type { Log } from "../../schema/kit/log.ts";
import { peerLimits } from "../../schema/limits/peers.ts";
import { ProblemError, type Problem } from "../../schema/problem.ts";
import { isTerminal } from "../../schema/run.ts";
import { readBytes } from "../api/body.ts";
import type { Outcome } from "../control/outputs.ts";
import type { RunRecord } from "../control/records.ts";
import { poolView } from "../engine/live.ts";
import type { PoolEngine } from "../engine/engine.ts";
import {
  askPath,
  readAsk,
  readView,
  viewPath,
  type AskAnswer,
  type BrokerPlace,
  type PoolView,
  type ViewAnswer,
} from "./messages.ts";
import { answerHeader, openQuestion, questionHeader, ReplayGuard, sealAnswer, type Question } from "./seal.ts";

export interface PeerDoorDeps {
  readonly key: Uint8Array;
  /** This manager's name, as in its leases. */
  readonly name: string;
  readonly broker: BrokerPlace;
  readonly engines: ReadonlyMap<string, Pick<PoolEngine, "lead" | "trouble" | "ask">>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface PeerDoor {
  /** The answer to another manager's question; undefined for any other request. Never rejects. */
  answer(request: Request): Promise<Response> | undefined;
  /** Questions by what became of them. */
  readonly figures: Readonly<Record<"taken" | "refused", number>>;
}

/** Opens the door. Who has no seal of this database's managers is answered 403 before a byte of the body is read. */
export function makePeerDoor(deps: PeerDoorDeps): PeerDoor {
  const figures = { taken: 0, refused: 0 };
  const guard = new ReplayGuard();
  const refuse = (path: string, why: string): Response => {
    figures.refused += 1;
    deps.log.warn({ route: path, why, outcome: "refused" }, "peer request");
    return new Response(null, { status: 403 });
  };
  const answered = async (request: Request, path: string): Promise<Response> => {
    const question = openQuestion(deps.key, path, request.headers.get(questionHeader) ?? "");
    if (!question || request.method !== "POST") return refuse(path, "it is not sealed as the managers of this database do");
    if (question.to !== deps.name) return sealed(deps, question, 421, "{}");
    if (!guard.isFresh(question.from, question.number)) return refuse(path, "it was played before");
    const body = await readBytes(request, peerLimits.bodyBytes);
    if (sha256Hex(body) !== question.bodyHash) return refuse(path, "its body is not the one that was sealed");
    const text = Buffer.from(body).toString("utf8");
    figures.taken += 1;
    const answer = path === askPath ? await answerAsk(deps, text, request.signal) : answerView(deps, text);
    return sealed(deps, question, 200, JSON.stringify(answer));
  };
  return {
    figures,
    answer(request) {
      const mark = request.url.indexOf("/peers/");
      if (mark < 0) return undefined;
      const { pathname } = new URL(request.url);
      if (pathname !== askPath && pathname !== viewPath) return undefined;
      return answered(request, pathname).catch((error: unknown) => {
        // Such as a peer that went away in the middle of its question.
        deps.log.warn({ err: error, route: pathname, outcome: "left" }, "peer request");
        return new Response(null, { status: 400 });
      });
    },
  };
}

function sealed(deps: PeerDoorDeps, question: Question, status: number, text: string): Response {
  const body = Buffer.from(text);
  const seal = sealAnswer(deps.key, question, { by: deps.name, status, body });
  return new Response(body, { status, headers: { "content-type": "application/json", [answerHeader]: seal } });
}

async function answerAsk(deps: PeerDoorDeps, text: string, gone: AbortSignal): Promise<AskAnswer> {
  const ask = readAsk(text);
  if (!ask) return { kind: "notLed", why: `${deps.name} is of a release that does not understand the request` };
  const engine = deps.engines.get(ask.pool);
  if (engine?.lead?.term !== ask.term)
    return { kind: "notLed", why: `${deps.name} does not lead the pool ${ask.pool} with term ${ask.term}` };
  try {
    const outcome = await engine.ask(ask.request, gone);
    const runs = runsOf(outcome).filter((run) => !isTerminal(run.state));
    const view = poolView(engine, { runs, workers: [] }, deps.clock.now());
    return { kind: "outcome", outcome, reasons: view?.reasons ?? {} };
  } catch (error) {
    return { kind: "problem", problem: problemOf(error, deps) };
  }
}

/** The runs that an answer shows. */
export function runsOf(outcome: Outcome): readonly RunRecord[] {
  if (outcome.kind === "run") return [outcome.run];
  return outcome.kind === "runs" ? outcome.items.flatMap((item) => (item.ok ? [item.run] : [])) : [];
}

function problemOf(error: unknown, { log, name }: PeerDoorDeps): Problem {
  if (error instanceof ProblemError) return error.problem;
  log.error({ err: error }, "another manager's request failed");
  return { code: "internal", detail: `Muster failed; the log of ${name} has the reason` };
}

function answerView(deps: PeerDoorDeps, text: string): ViewAnswer {
  const pools: Record<string, PoolView> = {};
  for (const [pool, question] of Object.entries(readView(text)?.pools ?? {})) {
    const view = poolView(deps.engines.get(pool), question, deps.clock.now());
    if (view) pools[pool] = view;
  }
  return { broker: deps.broker, pools };
}
