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
  readonly #onFailure: (error: unknown) => void;
  readonly #idle: Link[] = [];
  readonly #waiting: ((turn: Turn) => void)[] = [];
  readonly #busy = new Set<Link>();
  /** Those that are in use and were made before the last `renew`. */
  readonly #old = new WeakSet<Link>();
  #taken = 0;
  #closed = false;

  /** `onFailure` is told of what work on a connection failed with. */
  constructor(
    open: () => Promise<Link>,
    size: number,
    options: { readonly waitingMax?: number; readonly onFailure?: (error: unknown) => void } = {},
  ) {
    this.#open = open;
    this.#size = size;
    this.#waitingMax = options.waitingMax ?? mariadbLimits.waiting;
    this.#onFailure = options.onFailure ?? (() => undefined);
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

  /** Uses no connection again that there is now: those that are idle are let go, the others when their work is done. */
  renew(): void {
    for (const link of this.#idle.splice(0)) link.leave();
    for (const link of this.#busy) this.#old.add(link);
  }

  /** Lets go of idle connections that were kept for as long as one may be. */
  prune(): void {
    const kept = this.#idle.splice(0).filter((link) => {
      if (link.outworn) link.leave();
      return link.usable;
    });
    this.#idle.push(...kept);
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
      this.#onFailure(error);
      throw error;
    } finally {
      this.#busy.delete(link);
      if (!link.usable || this.#closed) link.close();
      else if (this.#old.has(link)) link.leave();
      else this.#idle.push(link);
    }
  }

  #kept(): Link | undefined {
    for (let link = this.#idle.pop(); link; link = this.#idle.pop()) {
      if (!link.usable) continue;
      if (!link.outworn) return link;
      link.leave();
    }
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
