/**
 * The small language in which a task says where it may run: `os=linux`, `label.zone in (a,b)`, `!label.old`,
 * `interpreter.python>=3.9`. One line each; all of a task's lines must hold.
 */
import type { Labels } from "./task.ts";
import type { Facts } from "./worker.ts";

export type Comparison = "=" | "!=" | ">=" | "<=" | ">" | "<";

/** What is asked about: `kind` says how its value is found and compared, `name` is what people wrote. */
export interface ConstraintSubject {
  readonly kind: "text" | "number" | "version" | "label" | "interpreter" | "driver";
  readonly name: string;
  /** The part after `label.`, `interpreter.` or `driver.`; else the whole name. */
  readonly key: string;
}

export type Constraint =
  | { readonly test: "exists" | "absent"; readonly subject: ConstraintSubject }
  | { readonly test: "compare"; readonly subject: ConstraintSubject; readonly operator: Comparison; readonly value: string }
  | { readonly test: "in" | "notin"; readonly subject: ConstraintSubject; readonly values: readonly string[] };

/** `position` counts characters from 0: where the text stops making sense. */
export type ParsedConstraint =
  | { readonly ok: true; readonly constraint: Constraint }
  | { readonly ok: false; readonly position: number; readonly message: string };

/** A worker as a constraint sees it; `labels` are the effective ones. */
export interface ConstrainedWorker {
  readonly workerId: string;
  readonly labels: Labels;
  readonly facts: Facts;
}

const textFacts = ["os", "arch", "hostname", "worker", "bootId"] as const;
const numberFacts = ["cpus", "memoryMb"] as const;
const versionFacts = ["osVersion", "agentVersion", "nodeVersion"] as const;
const families = ["label", "interpreter", "driver"] as const;
const knownNames = [...textFacts, ...numberFacts, ...versionFacts, ...families.map((f) => `${f}.<name>`)].join(", ");

/** A syntax error on its way out of the reader; never leaves this file. */
class SyntaxProblem extends Error {
  readonly position: number;
  constructor(position: number, message: string) {
    super(message);
    this.position = position;
  }
}

/** A place in the text that moves forward. */
interface Reader {
  readonly text: string;
  at: number;
}

/** Reads one constraint. Never throws; an error names the position and what was expected there. */
export function parseConstraint(text: string): ParsedConstraint {
  const reader: Reader = { text, at: 0 };
  try {
    return { ok: true, constraint: readConstraint(reader) };
  } catch (error) {
    if (error instanceof SyntaxProblem) return { ok: false, position: error.position, message: error.message };
    throw error;
  }
}

function readConstraint(reader: Reader): Constraint {
  skipSpace(reader);
  const absent = reader.text[reader.at] === "!";
  if (absent) {
    reader.at += 1;
    skipSpace(reader);
  }
  const subject = readSubject(reader);
  skipSpace(reader);
  if (atEnd(reader)) return { test: absent ? "absent" : "exists", subject };
  if (absent) throw new SyntaxProblem(reader.at, `expected the end after !${subject.name}`);
  const operatorAt = reader.at;
  const constraint = readTest(reader, subject);
  if (subject.kind === "driver") {
    throw new SyntaxProblem(operatorAt, `expected the end: a driver is either there (${subject.name}) or not (!${subject.name})`);
  }
  skipSpace(reader);
  if (!atEnd(reader)) throw new SyntaxProblem(reader.at, "expected the end; a value with spaces or signs needs double quotes");
  return constraint;
}

function readSubject(reader: Reader): ConstraintSubject {
  const start = reader.at;
  const name = match(reader, /[A-Za-z0-9_./-]+/y);
  if (name === undefined) throw new SyntaxProblem(start, `expected a name: one of ${knownNames}`);
  const subject = subjectOf(name);
  if (!subject) throw new SyntaxProblem(start, `expected one of ${knownNames}, not ${name}`);
  return subject;
}

function subjectOf(name: string): ConstraintSubject | undefined {
  const has = (list: readonly string[]): boolean => list.includes(name);
  if (has(textFacts)) return { kind: "text", name, key: name };
  if (has(numberFacts)) return { kind: "number", name, key: name };
  if (has(versionFacts)) return { kind: "version", name, key: name };
  const family = families.find((f) => name.startsWith(`${f}.`) && name.length > f.length + 1);
  return family && { kind: family, name, key: name.slice(family.length + 1) };
}

function readTest(reader: Reader, subject: ConstraintSubject): Constraint {
  const word = match(reader, /(?:notin|in)(?![A-Za-z0-9_./-])/y);
  if (word === "in" || word === "notin") return { test: word, subject, values: readList(reader, subject) };
  const start = reader.at;
  const sign = match(reader, />=|<=|!=|==|=|>|</y);
  if (sign === undefined) throw new SyntaxProblem(start, `expected =, !=, >=, <=, >, <, in or notin after ${subject.name}`);
  const operator = (sign === "==" ? "=" : sign) as Comparison;
  if (subject.kind === "text" && operator !== "=" && operator !== "!=") {
    throw new SyntaxProblem(start, `expected = or !=, in or notin: ${subject.name} has no order`);
  }
  return { test: "compare", subject, operator, value: readValue(reader, subject) };
}

function readList(reader: Reader, subject: ConstraintSubject): string[] {
  skipSpace(reader);
  if (reader.text[reader.at] !== "(") throw new SyntaxProblem(reader.at, "expected ( and a list of values");
  const values: string[] = [];
  do {
    reader.at += 1;
    values.push(readValue(reader, subject));
    skipSpace(reader);
  } while (reader.text[reader.at] === ",");
  if (reader.text[reader.at] !== ")") throw new SyntaxProblem(reader.at, "expected , or )");
  reader.at += 1;
  return values;
}

function readValue(reader: Reader, subject: ConstraintSubject): string {
  skipSpace(reader);
  const start = reader.at;
  const value = reader.text[start] === '"' ? readQuoted(reader) : match(reader, /[^\s,()"!=<>]+/y);
  if (value === undefined) throw new SyntaxProblem(start, "expected a value");
  if (subject.kind === "number" && !/^[0-9]{1,15}(\.[0-9]{1,15})?$/.test(value)) {
    throw new SyntaxProblem(start, `expected a number for ${subject.name}`);
  }
  if ((subject.kind === "version" || subject.kind === "interpreter") && !/[0-9]/.test(value)) {
    throw new SyntaxProblem(start, `expected a version such as 3.9 for ${subject.name}`);
  }
  return value;
}

function readQuoted(reader: Reader): string {
  const start = reader.at;
  const inner = match(reader, /"(?:[^"\\]|\\["\\])*"/y);
  if (inner === undefined) throw new SyntaxProblem(start, 'expected a closing "; inside quotes only \\" and \\\\ are escapes');
  return inner.slice(1, -1).replaceAll(/\\(["\\])/g, "$1");
}

function match(reader: Reader, pattern: RegExp): string | undefined {
  pattern.lastIndex = reader.at;
  const found = pattern.exec(reader.text)?.[0];
  if (found !== undefined) reader.at += found.length;
  return found;
}

function skipSpace(reader: Reader): void {
  match(reader, /\s*/y);
}

function atEnd(reader: Reader): boolean {
  return reader.at >= reader.text.length;
}

/**
 * Whether the worker satisfies it. What the worker does not have satisfies `!=`, `notin` and `!name`, and nothing else.
 * Versions compare by their numeric parts; `=` compares as many parts as the constraint gives (`=3.9` holds for 3.9.2).
 */
export function constraintHolds(constraint: Constraint, worker: ConstrainedWorker): boolean {
  const has = valueOf(constraint.subject, worker);
  switch (constraint.test) {
    case "exists":
      return has !== undefined;
    case "absent":
      return has === undefined;
    case "in":
      return has !== undefined && constraint.values.some((value) => compares(constraint.subject, has, "=", value));
    case "notin":
      return has === undefined || constraint.values.every((value) => compares(constraint.subject, has, "!=", value));
    case "compare":
      return has === undefined
        ? constraint.operator === "!="
        : compares(constraint.subject, has, constraint.operator, constraint.value);
  }
}

/** What the worker is short of, to follow "1 ": "lacks label zone", "has os windows". Only for a constraint that does not hold. */
export function constraintGap(constraint: Constraint, worker: ConstrainedWorker): string {
  const has = valueOf(constraint.subject, worker);
  const { subject } = constraint;
  const called =
    subject.kind === "label" || subject.kind === "driver"
      ? `${subject.kind} ${subject.key}`
      : subject.kind === "interpreter"
        ? subject.key
        : subject.name;
  if (has === undefined) return `lacks ${called}`;
  if (subject.kind === "driver" || constraint.test === "absent") return `has ${called}`;
  return subject.kind === "label" ? `has ${called}=${has}` : `has ${called} ${has}`;
}

function valueOf(subject: ConstraintSubject, worker: ConstrainedWorker): string | undefined {
  switch (subject.kind) {
    case "label":
      return own(worker.labels, subject.key);
    case "interpreter":
      return own(worker.facts.interpreters, subject.key);
    case "driver":
      return worker.facts.drivers.includes(subject.key) ? subject.key : undefined;
    case "text":
    case "number":
    case "version":
      return factOf(subject.name, worker);
  }
}

/** Only what the map itself holds: `label.constructor` is nobody's label. */
function own(map: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(map, key) ? map[key] : undefined;
}

function factOf(name: string, worker: ConstrainedWorker): string | undefined {
  if (name === "worker") return worker.workerId;
  const fact = worker.facts[name as keyof Facts];
  if (typeof fact === "number") return String(fact);
  return typeof fact === "string" && fact !== "" ? fact : undefined;
}

function compares(subject: ConstraintSubject, has: string, operator: Comparison, value: string): boolean {
  const order = orderOf(subject, has, operator, value);
  switch (operator) {
    case "=":
      return order === 0;
    case "!=":
      return order !== 0;
    case ">=":
      return order >= 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case "<":
      return order < 0;
  }
}

function orderOf(subject: ConstraintSubject, has: string, operator: Comparison, value: string): number {
  const equality = operator === "=" || operator === "!=";
  if (subject.kind === "number") return Number(has) - Number(value);
  if (equality && (subject.kind === "text" || subject.kind === "label")) return has === value ? 0 : 1;
  const ours = versionParts(has);
  const theirs = versionParts(value);
  const count = equality ? theirs.length : Math.max(ours.length, theirs.length);
  for (let i = 0; i < count; i += 1) {
    const difference = (ours[i] ?? 0) - (theirs[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function versionParts(text: string): number[] {
  return (text.match(/[0-9]+/g) ?? []).slice(0, 8).map(Number);
}
