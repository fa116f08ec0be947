/** How a manager names itself in a lease row: its name, and where other managers reach it. */

export interface Holder {
  /** Drawn at each start, so that it names one life of one process. */
  readonly name: string;
  /** `http://host:port`; null: it says none, and nothing can be forwarded to it. */
  readonly address: string | null;
}

const between = " at ";

/**
 * One text for the row's one column: whoever takes the lease replaces both at once, also a release that knows no addresses,
 * and an address that was announced never outlives its manager's lead.
 */
export function holderText({ name, address }: Holder): string {
  return address === null ? name : `${name}${between}${address}`;
}

/** The holder of a row; null for a lease that was given back. */
export function parseHolder(text: string): Holder | null {
  if (text === "") return null;
  const at = text.indexOf(between);
  return at < 0 ? { name: text, address: null } : { name: text.slice(0, at), address: text.slice(at + between.length) };
}
