import { createHash } from "node:crypto";

/** What happened, twice over: a hash of every durable change, every publish and every process, and a story for people on demand. */
export class Trace {
  readonly #hash = createHash("sha256");
  #unhashed = "";
  readonly #lines: string[] | undefined;
  readonly #nowMs: () => number;

  constructor(nowMs: () => number, withStory: boolean) {
    this.#nowMs = nowMs;
    this.#lines = withStory ? [] : undefined;
  }

  /** Something that must be the same whenever this seed is played. */
  hash(text: string): void {
    this.#unhashed += text;
    if (this.#unhashed.length > 65_536) this.#flush();
  }

  #flush(): void {
    this.#hash.update(this.#unhashed);
    this.#unhashed = "";
  }

  /** A line of the story; the text is made only when somebody wants to read it. */
  tell(text: () => string): void {
    this.#lines?.push(`${(this.#nowMs() / 1_000).toFixed(3).padStart(8)} s  ${text()}`);
  }

  get story(): readonly string[] {
    return this.#lines ?? [];
  }

  digest(): string {
    this.#flush();
    return this.#hash.digest("hex").slice(0, 16);
  }
}
