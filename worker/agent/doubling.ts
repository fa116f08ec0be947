/** The delay before try number `tries` (from 0): `firstMs`, twice that, … and never more than `maxMs`. */
export function doubledMs(tries: number, bounds: { readonly firstMs: number; readonly maxMs: number }): number {
  return Math.min(bounds.maxMs, bounds.firstMs * 2 ** Math.min(tries, 30));
}
