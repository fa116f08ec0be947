import { mariadbLimits } from "../../../schema/limits/mariadb.ts";
import { StoreError } from "../store.ts";
import type { Link } from "./link.ts";

/**
 * A few connections that are used one user at a time, made when they are needed and kept while they work. Who comes when all
 * are taken waits in line. (mysql2's own pool keeps a connection for ever whose statement was never answered.)
 */
export class Lane {
  readonly #open: () => Promise<Link>;
  readonly #size: number;
  readonly #waitingMax: number;
  readonly #idle: Link[] = [];
  readonly #waiting: ((turn: Turn) => void)[] = [];
  readonly #busy = new Set<Link>();
  #taken = 0;
  #closed = false;

  constructor(open: () => Promise<Link>, size: number, waitingMax: number = mariadbLimits.waiting) {
    this.#open = open;
    this.#size = size;
    this.#waitingMax = waitingMax;
  }

  /** How many use a connection or make one, and how many wait for theirs. */
  get figures(): { readonly taken: number; readonly waiting: number } {
    return { taken: this.#taken, waiting: this.#waiting.length };
  }

  /** `fresh`: the work begins on a connection that was just made; else it may be one that the server has closed meanwhile. */
  async use<T>(work: (link: Link, fresh: boolean) => Promise<T>): Promise<T> {
    if ((await this.#turn()) === "closed") throw closedError();
    try {
      return await this.#on(work);
    } finally {
      this.#pass();
    }
  }

  /** Ends every connection; what is in flight fails with an unknown outcome. */
  close(): void {
    this.#closed = true;
    for (const link of this.#idle.splice(0)) link.leave();
    for (const link of this.#busy) link.close();
    for (const next of this.#waiting.splice(0)) next("closed");
  }

  async #on<T>(work: (link: Link, fresh: boolean) => Promise<T>): Promise<T> {
    const kept = this.#kept();
    const link = kept ?? (await this.#open());
    this.#busy.add(link);
    try {
      if (this.#closed) throw closedError();
      return await work(link, kept === undefined);
    } catch (error) {
      // Whatever it had open ends with it.
      link.close();
      throw error;
    } finally {
      this.#busy.delete(link);
      if (link.usable && !this.#closed) this.#idle.push(link);
      else link.close();
    }
  }

  #kept(): Link | undefined {
    for (let link = this.#idle.pop(); link; link = this.#idle.pop()) if (link.usable) return link;
    return undefined;
  }

  #turn(): Turn | Promise<Turn> {
    if (this.#closed) return "closed";
    if (this.#taken < this.#size) {
      this.#taken += 1;
      return "go";
    }
    if (this.#waiting.length >= this.#waitingMax) {
      throw new StoreError(
        "transient",
        true,
        `All ${this.#size} connections to the database are taken, and ${this.#waiting.length} statements wait.`,
      );
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The turn goes on to who waited longest. */
  #pass(): void {
    const next = this.#waiting.shift();
    if (next) next("go");
    else this.#taken -= 1;
  }
}

type Turn = "go" | "closed";

function closedError(): StoreError {
  return new StoreError("transient", true, "The database is closed.");
}
