import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { openAnswer, openQuestion, ReplayGuard, sealAnswer, sealQuestion, type Question } from "../../../manager/peers/seal.ts";
import { peerLimits } from "../../../schema/limits/peers.ts";

const key = randomBytes(32);
const question: Question = { path: "/peers/ask", from: "manager-a", to: "manager-b", number: 7, bodyHash: "0".repeat(64) };

test("a question is opened by who has the secret, and says what was sealed", () => {
  expect(openQuestion(key, "/peers/ask", sealQuestion(key, question))).toEqual(question);
});

test("a question is refused with another secret, on another path, and when any word of it was changed", () => {
  const header = sealQuestion(key, question);
  expect(openQuestion(randomBytes(32), "/peers/ask", header)).toBeUndefined();
  expect(openQuestion(key, "/peers/view", header)).toBeUndefined();
  for (const word of [0, 1, 2, 3, 4]) {
    const words = header.split(" ");
    const was = words[word] as string;
    words[word] = (was.startsWith("1") ? "2" : "1") + was.slice(1);
    expect(openQuestion(key, "/peers/ask", words.join(" ")), words.join(" ")).toBeUndefined();
  }
  for (const odd of ["", "a b c", `${header} more`, header.replace(" 7 ", " 07 "), header.slice(0, -1)])
    expect(openQuestion(key, "/peers/ask", odd), odd).toBeUndefined();
});

test("an answer belongs to its question, its status and its body", () => {
  const body = Buffer.from("{}");
  const header = sealAnswer(key, question, { by: "manager-b", status: 200, body });
  expect(openAnswer(key, question, header, { status: 200, body })).toBe("manager-b");
  expect(openAnswer(key, { ...question, number: 8 }, header, { status: 200, body })).toBeUndefined();
  expect(openAnswer(key, question, header, { status: 421, body })).toBeUndefined();
  expect(openAnswer(key, question, header, { status: 200, body: Buffer.from("[]") })).toBeUndefined();
  expect(openAnswer(key, question, header.replace("manager-b", "manager-c"), { status: 200, body })).toBeUndefined();
  expect(openAnswer(key, question, "", { status: 200, body })).toBeUndefined();
});

test("a number is fresh once, also when it comes after later ones; what is too old to be told apart is not", () => {
  const guard = new ReplayGuard();
  expect([3, 1, 2].map((n) => guard.isFresh("a", n))).toEqual([true, true, true]);
  expect([3, 1, 2].map((n) => guard.isFresh("a", n))).toEqual([false, false, false]);
  expect(guard.isFresh("b", 3)).toBe(true);
  const far = 10 * peerLimits.replayWindow;
  for (let n = 4; n <= far; n += 1) guard.isFresh("a", n);
  expect(guard.isFresh("a", 5)).toBe(false);
  expect(guard.isFresh("a", far - peerLimits.replayWindow)).toBe(false);
  expect(guard.isFresh("a", far + 2)).toBe(true);
  expect(guard.isFresh("a", far + 1)).toBe(true);
});

test("of many senders the one that was quiet for longest is forgotten, never one that speaks", () => {
  const guard = new ReplayGuard();
  guard.isFresh("speaks", 1);
  for (let n = 0; n < 2 * peerLimits.senders; n += 1) {
    guard.isFresh(`sender-${n}`, 1);
    expect(guard.isFresh("speaks", n + 2)).toBe(true);
  }
  expect(guard.isFresh("speaks", 1)).toBe(false);
});
