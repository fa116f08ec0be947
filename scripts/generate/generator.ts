/** One file that is made from the code. */
export interface Generator {
  /** Its path from the project's root. */
  readonly file: string;
  /** The whole new content. `before` is what is there now, for a file of which only a part is made. */
  make(before: string): string | Promise<string>;
}
