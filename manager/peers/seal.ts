/**
 * Who speaks, among managers of one database: each question and each answer carries an HMAC with a secret of the store. No clocks
 * are compared. A question names the one process that it is for, whose name is drawn at its start, and a number that its sender
 * uses once; so what somebody recorded can be played neither to another manager, nor to a later life of this one, nor twice.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { sha256Hex } from "../../schema/digest.ts";
import { id } from "../../schema/ids.ts";
import { peerLimits } from "../../schema/limits/peers.ts";

/** The header of a question: `<from> <to> <number> <sha256 of the body> <mac>`. */
export const questionHeader = "x-muster-peer";
/** The header of an answer: `<who answers> <mac>`. */
export const answerHeader = "x-muster-peer-answer";

export interface Question {
  readonly path: string;
  readonly from: string;
  readonly to: string;
  /** Rises with each question of the sender. */
  readonly number: number;
  /** SHA-256 (hex) of the body, so that a stranger's body is not even read. */
  readonly bodyHash: string;
}

/** The header's text. */
export function sealQuestion(key: Uint8Array, question: Question): string {
  const { from, to, number, bodyHash } = question;
  return `${from} ${to} ${number} ${bodyHash} ${macOf(key, questionText(question))}`;
}

const questionForm = /^(\S+) (\S+) ([1-9][0-9]{0,14}) ([0-9a-f]{64}) (\S+)$/;

/** The question that the header speaks of; undefined when it is not one, or its seal does not hold. */
export function openQuestion(key: Uint8Array, path: string, header: string): Question | undefined {
  const [, from = "", to = "", number = "", bodyHash = "", mac = ""] = questionForm.exec(header) ?? [];
  if (!id.safeParse(from).success || !id.safeParse(to).success) return undefined;
  const question = { path, from, to, number: Number(number), bodyHash };
  return isMac(key, questionText(question), mac) ? question : undefined;
}

/** What an answer's seal covers, beside the question that it answers. */
export interface Answer {
  readonly by: string;
  readonly status: number;
  readonly body: Uint8Array;
}

/** The header's text. */
export function sealAnswer(key: Uint8Array, question: Question, answer: Answer): string {
  return `${answer.by} ${macOf(key, answerText(question, answer))}`;
}

/** Who gave this answer to the question; undefined when its seal does not hold. */
export function openAnswer(key: Uint8Array, question: Question, header: string, answer: Omit<Answer, "by">): string | undefined {
  const [, by = "", mac = ""] = /^(\S+) (\S+)$/.exec(header) ?? [];
  return isMac(key, answerText(question, { ...answer, by }), mac) ? by : undefined;
}

function questionText({ path, from, to, number, bodyHash }: Question): string {
  return `muster peer 1 question\n${path}\n${from}\n${to}\n${number}\n${bodyHash}`;
}

function answerText({ path, from, to, number }: Question, { by, status, body }: Answer): string {
  return `muster peer 1 answer\n${path}\n${from}\n${to}\n${number}\n${by}\n${status}\n${sha256Hex(body)}`;
}

function macOf(key: Uint8Array, text: string): string {
  return createHmac("sha256", key).update(text).digest("base64url");
}

function isMac(key: Uint8Array, text: string, mac: string): boolean {
  const expected = Buffer.from(macOf(key, text));
  const given = Buffer.from(mac);
  return given.byteLength === expected.byteLength && timingSafeEqual(given, expected);
}

/**
 * Which numbers of which sender came already. Questions overtake each other, so the newest `replayWindow` are told apart one by
 * one, and what is older counts as seen. Bounded: of many senders the one that was quiet for longest is forgotten, which takes a
 * thousand restarts of other managers within one life of this one.
 */
export class ReplayGuard {
  readonly #senders = new Map<string, { newest: number; readonly seen: Set<number> }>();

  /** True the first time. */
  isFresh(from: string, number: number): boolean {
    const sender = this.#senders.get(from) ?? { newest: 0, seen: new Set<number>() };
    const oldest = sender.newest - peerLimits.replayWindow;
    if (number <= oldest || sender.seen.has(number)) return false;
    sender.seen.add(number);
    sender.newest = Math.max(sender.newest, number);
    if (sender.seen.size > 2 * peerLimits.replayWindow)
      for (const one of sender.seen) if (one <= sender.newest - peerLimits.replayWindow) sender.seen.delete(one);
    this.#senders.delete(from);
    this.#senders.set(from, sender);
    const [quietest] = this.#senders.keys();
    if (this.#senders.size > peerLimits.senders && quietest !== undefined) this.#senders.delete(quietest);
    return true;
  }
}
