import type { Request } from "../../manager/control/inputs.ts";
import type { SimAnswer, SimManager } from "./manager.ts";
import { faultsUntilMs, managerIds, type Plan } from "./plan.ts";
import type { Schedule } from "./schedule.ts";
import type { Chance } from "./seeded.ts";
import { answerText, requestText } from "./story.ts";
import type { Trace } from "./trace.ts";

/** No answer came: whoever should have given it is gone, or the connection. */
export type Heard = SimAnswer | { readonly kind: "silence" };

/** Who waits for an answer hears nothing for this long before it asks again. */
const patienceMs = 20_000;

export interface AskingEnds {
  readonly plan: Plan;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly trace: Trace;
  readonly managers: readonly SimManager[];
}

/** How a client asks: of whichever manager listens, over a connection that may break, again and again. */
export class Asking {
  readonly #ends: AskingEnds;
  #asked = 0;

  constructor(ends: AskingEnds) {
    this.#ends = ends;
  }

  /** Asks some manager, and another one later, until the answer is one that `enough` takes. */
  insist(make: () => Request, enough: (heard: Heard) => boolean): void {
    const { chance, schedule, managers, trace: story } = this.#ends;
    let settled = false;
    const ask = (): void => {
      if (settled) return;
      const request = make();
      let heard = false;
      const hear = (answer: Heard): void => {
        if (heard || settled) return;
        heard = true;
        if (isUncertain(answer)) this.#asked = managerIds.length - 1 - this.#asked;
        story.tell(() => `a client hears ${answerText(answer)} to ${requestText(request)}`);
        settled = enough(answer);
        if (!settled) schedule.after(chance.between(500, 2_000), ask);
      };
      // Whoever balances the load remembers who took requests last.
      if (chance.happens(0.3)) this.#asked = chance.between(0, managerIds.length - 1);
      const manager = managers[this.#asked];
      // Nobody listens there: the client knows at once that nothing was taken.
      if (!manager?.ask(request, (answer) => this.#onTheWay(hear, answer)))
        return void schedule.after(chance.between(200, 1_000), () => {
          this.#asked = managerIds.length - 1 - this.#asked;
          ask();
        });
      schedule.after(patienceMs, () => hear({ kind: "silence" }));
    };
    ask();
  }

  /** Answers are lost too, until everything heals. */
  #onTheWay(hear: (answer: Heard) => void, answer: SimAnswer): void {
    const { chance, schedule, plan } = this.#ends;
    const isLost = chance.happens(plan.weather.loss / 3);
    if (!isLost || schedule.nowMs >= faultsUntilMs) schedule.after(chance.between(0, 5), () => hear(answer));
  }
}

/** Nothing was said about what became of it. */
export function isUncertain(heard: Heard): boolean {
  return (
    heard.kind === "silence" ||
    (heard.kind === "problem" && (heard.problem.code === "not-taken" || heard.problem.code === "outcome-unknown"))
  );
}
