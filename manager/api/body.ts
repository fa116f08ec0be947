/** Reads a request's body: counted while it comes, UTF-8 only, and no key that could poison an object. */
import { requestLimits } from "../../schema/limits.ts";
import { problem } from "../../schema/problem.ts";

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** All bytes of the body; 413 as soon as more than `maxBytes` are announced or have come. */
export async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const announced = request.headers.get("content-length");
  if (announced !== null) {
    // Node holds the sender to the length it announced, so this one is safe to read whole.
    if (Number(announced) > maxBytes) throw tooLarge(maxBytes);
    return new Uint8Array(await readWhole(request));
  }
  if (request.body === null) return new Uint8Array(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = request.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(cutShort);
    if (done) break;
    size += value.byteLength;
    if (size > maxBytes) {
      await reader.cancel();
      throw tooLarge(maxBytes);
    }
    chunks.push(value);
  }
  return new Uint8Array(Buffer.concat(chunks, size));
}

function readWhole(request: Request): Promise<ArrayBuffer> {
  return request.arrayBuffer().catch(cutShort);
}

function cutShort(cause: unknown): never {
  throw Object.assign(problem("malformed", "the body ended before its end"), { cause });
}

function tooLarge(maxBytes: number): Error {
  const hint = maxBytes === requestLimits.bodyBytes ? "; a large script goes to PUT /tasks/{id}/script" : "";
  return problem("too-large", `the body may have at most ${maxBytes} bytes${hint}`);
}

/** The media type without its parameters, in lower case; undefined when there is none. */
export function mediaType(request: Request): string | undefined {
  return request.headers.get("content-type")?.split(";", 1)[0]?.trim().toLowerCase();
}

/** 415 unless the content type is one of `types` (`text/*` stands for all of text). */
export function mustBeOf(types: readonly string[], type: string | undefined): void {
  if (type !== undefined && types.some((t) => t === type || (t.endsWith("/*") && type.startsWith(t.slice(0, -1))))) return;
  throw problem("unsupported-type", `the content type must be ${types.join(" or ")}${type === undefined ? "" : `, not ${type}`}`);
}

/** The JSON value of the bytes; 400 for what is not UTF-8, not JSON, too deep, has a reserved key or text that is not Unicode. */
export function jsonOf(bytes: Uint8Array): unknown {
  const text = utf8Of(bytes);
  if (text === undefined) throw problem("malformed", "the body is not valid UTF-8");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw Object.assign(problem("malformed", `the body is not JSON: ${(cause as Error).message}`), { cause });
  }
  if (mayBeHostile(text)) refuseHostile(value);
  return value;
}

/** The text of the bytes, or undefined when they are not UTF-8. A byte order mark is kept. */
export function utf8Of(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/**
 * Whether the text could hold a reserved key (also one that is written with escapes), half a character (which in UTF-8 only an
 * escape can be) or more levels than are allowed.
 */
function mayBeHostile(text: string): boolean {
  if (text.includes("__proto__") || text.includes("\\u")) return true;
  let open = 0;
  let isString = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at);
    if (isString) {
      if (char === backslash) at += 1;
      else if (char === quote) isString = false;
    } else if (char === quote) isString = true;
    else if (char === brace || char === bracket) {
      open += 1;
      if (open > requestLimits.jsonDepth) return true;
    } else if (char === brace + 2 || char === bracket + 2) open -= 1;
  }
  return false;
}

const [quote, backslash, brace, bracket] = [0x22, 0x5c, 0x7b, 0x5b] as const;

interface Hostile {
  readonly path: readonly string[];
  readonly message: string;
}

const reserved = "is a reserved word";
const notUnicode = "has half of a surrogate pair, which is no character: no database could keep it";

/**
 * Refuses `__proto__` as a key, which a schema of free keys would pass over in silence; lone surrogates, which databases replace,
 * so that two names become one; and nesting that would overflow the stack of whoever walks it. It goes down no further itself.
 */
function refuseHostile(root: unknown): void {
  const found = hostileIn(root, requestLimits.jsonDepth);
  if (found === undefined) return;
  if (found === "deep") throw problem("malformed", `the body is nested deeper than ${requestLimits.jsonDepth} levels`);
  const pointer = found.path.map((key) => `/${key.toWellFormed().replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
  const { message } = found;
  throw problem("malformed", `${pointer || "the body"} ${message}`, { errors: [{ at: pointer, message }] });
}

/** The first of them, with the keys that lead to it; `deep` when there are more levels than are left. */
function hostileIn(value: unknown, levels: number): Hostile | "deep" | undefined {
  if (typeof value === "string") return value.isWellFormed() ? undefined : { path: [], message: notUnicode };
  if (!isObject(value)) return undefined;
  if (levels === 0) return "deep";
  for (const key in value) {
    if (key === "__proto__") return { path: [key], message: reserved };
    if (!key.isWellFormed()) return { path: [key], message: notUnicode };
    const found = hostileIn((value as Record<string, unknown>)[key], levels - 1);
    if (found !== undefined) return found === "deep" ? found : { path: [key, ...found.path], message: found.message };
  }
  return undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
