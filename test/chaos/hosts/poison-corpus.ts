/** Messages that nobody of ours would send, for either side of the wire. */
import fc from "fast-check";

export interface Poison {
  readonly what: string;
  readonly payload: Uint8Array;
}

const text = (what: string, payload: string): Poison => ({ what, payload: Buffer.from(payload) });
const deep = (levels: number, open: string, close: string): string => open.repeat(levels) + close.repeat(levels);

/** What every reader must survive, whatever it expects. */
function rubbish(): Poison[] {
  return [
    { what: "nothing", payload: new Uint8Array() },
    { what: "a NUL byte", payload: Uint8Array.of(0) },
    { what: "invalid UTF-8", payload: Uint8Array.of(0x7b, 0xff, 0xfe, 0x7d) },
    { what: "a UTF-8 byte order mark", payload: Buffer.from("\u{feff}{}") },
    text("no JSON", "nonsense"),
    text("half of an object", '{"v":1,'),
    text("two objects", '{"v":1}{"v":1}'),
    ...["null", "true", "0", '""', "[]", "{}", "1e999", "-0", '"\\ud800"', "[[[[]]]]"].map((one) => text(one, one)),
    text("arrays 30,000 deep", deep(30_000, "[", "]")),
    text("objects 10,000 deep", deep(10_000, '{"a":', "}").replace('":}', '":0}')),
    text("brackets that never close", "[".repeat(60_000)),
    text("one key a thousand times", `{${Array.from({ length: 1_000 }, () => '"v":1').join(",")}}`),
    text("a string of 60 kB", JSON.stringify({ v: 1, epoch: "x".repeat(60_000) })),
  ];
}

const odd = fc.oneof(
  { weight: 4, arbitrary: fc.jsonValue({ maxDepth: 4 }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom<unknown>(
      null,
      -1,
      0.5,
      1e308,
      2 ** 53,
      -(2 ** 63),
      "",
      "\ud800",
      "__proto__",
      [],
      {},
      [null],
      { length: -1 },
      "x".repeat(500),
    ),
  },
);

/** A sound message with one of its fields, at any depth, put out of joint. */
function spoiled(sound: unknown, seed: number, count: number): Poison[] {
  const made = fc.sample(fc.tuple(fc.nat(), odd, fc.constantFrom("value", "key", "gone", "proto")), { numRuns: count, seed });
  return made.map(([at, value, how], i) => {
    const places = placesOf(sound);
    const place = places[at % places.length] ?? [];
    return text(`spoiled ${i} at ${place.join(".")} (${how})`, spoil(JSON.parse(JSON.stringify(sound)), place, value, how));
  });
}

function placesOf(value: unknown, under: readonly string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [[...under]];
  return [
    ...(under.length > 0 ? [[...under]] : []),
    ...Object.entries(value).flatMap(([key, one]) => placesOf(one, [...under, key])),
  ];
}

function spoil(message: any, place: readonly string[], value: unknown, how: string): string {
  const last = place.at(-1);
  let holder = message;
  for (const key of place.slice(0, -1)) holder = holder[key];
  if (last === undefined) return JSON.stringify(value) ?? "null";
  if (how === "gone") delete holder[last];
  else if (how === "key") holder[`${last}\u0000`] = value;
  else holder[last] = value;
  const json = JSON.stringify(message);
  // Not to be had by assigning: `__proto__` as a key of its own.
  return how === "proto"
    ? json.replace(/^\{/, '{"__proto__":{"v":1,"items":[]},"constructor":{"prototype":{"polluted":true}},')
    : json;
}

/** Poison for a reader that expects messages such as the sound ones: about `count` pieces, the same for the same seed. */
export function poison(sound: readonly unknown[], seed: number, count: number): Poison[] {
  const each = Math.ceil(count / sound.length);
  return [...rubbish(), ...sound.flatMap((one, i) => spoiled(one, seed + i, each))];
}
