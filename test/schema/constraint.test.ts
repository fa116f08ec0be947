import fc from "fast-check";
import { expect, test } from "vitest";
import {
  constraintGap,
  constraintHolds,
  parseConstraint,
  type ConstrainedWorker,
  type Constraint,
} from "../../schema/constraint.ts";

const worker: ConstrainedWorker = {
  workerId: "edge-7",
  labels: { zone: "a", ssd: "", "k8s.io/role": "x, y", old: "yes", generation: "10" },
  facts: {
    os: "linux",
    osVersion: "6.1.0",
    arch: "x64",
    hostname: "edge-7.local",
    cpus: 4,
    memoryMb: 2_048,
    interpreters: { python: "3.11.2", sh: "" },
    drivers: ["exec", "script", "ssh"],
    agentVersion: "1.2.3",
    nodeVersion: "",
    bootId: "b1",
  },
};

function read(text: string): Constraint {
  const parsed = parseConstraint(text);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.position} ${parsed.message}`);
  return parsed.constraint;
}

test.each([
  "os=linux",
  "os == linux",
  " os  =  linux ",
  "os!=windows",
  "os in (windows,linux)",
  "os notin (windows, darwin)",
  "arch!=arm64",
  "hostname=edge-7.local",
  'hostname="edge-7.local"',
  "worker=edge-7",
  "worker in (edge-6, edge-7)",
  "bootId=b1",
  "cpus>=4",
  "cpus=4.0",
  "cpus<4.5",
  "cpus in (2, 4)",
  "memoryMb>=2048",
  "memoryMb>2047",
  "memoryMb<=2048",
  "label.zone in (a,b)",
  "label.zone notin (b,c)",
  "label.zone=a",
  "label.zone!=b",
  "label.ssd",
  "label.k8s.io/role",
  'label.k8s.io/role="x, y"',
  'label.k8s.io/role in (z, "x, y")',
  "!label.new",
  "! label.new",
  "label.new!=x",
  "label.new notin (x)",
  "label.generation>9",
  "interpreter.python",
  "interpreter.python>=3.9",
  "interpreter.python<3.12",
  "interpreter.python=3.11",
  "interpreter.python!=3.1",
  "interpreter.python>3.11.1",
  "interpreter.python in (3.9, 3.11)",
  "interpreter.sh",
  "!interpreter.perl",
  "driver.ssh",
  "!driver.docker",
  "osVersion>=6.1",
  "osVersion<=6.1",
  "agentVersion=1.2",
  "!nodeVersion",
])("%s holds", (text) => {
  expect(constraintHolds(read(text), worker)).toBe(true);
});

test.each([
  ["os=windows", "has os linux"],
  ["os notin (linux)", "has os linux"],
  ["os!=linux", "has os linux"],
  ["os in (windows, darwin)", "has os linux"],
  ["arch=arm64", "has arch x64"],
  ["worker=edge-8", "has worker edge-7"],
  ["cpus>4", "has cpus 4"],
  ["cpus!=4", "has cpus 4"],
  ["memoryMb<2048", "has memoryMb 2048"],
  ["label.zone=b", "has label zone=a"],
  ["label.zone in (b,c)", "has label zone=a"],
  ["label.zone!=a", "has label zone=a"],
  ["label.zone notin (a)", "has label zone=a"],
  ["label.new", "lacks label new"],
  ["label.new=x", "lacks label new"],
  ["label.new in (x)", "lacks label new"],
  ["label.new>1", "lacks label new"],
  ["!label.old", "has label old"],
  ["label.generation<9", "has label generation=10"],
  ["label.constructor", "lacks label constructor"],
  ["interpreter.python>=3.12", "has python 3.11.2"],
  ["interpreter.python<=3.11", "has python 3.11.2"],
  ["interpreter.python<3.11", "has python 3.11.2"],
  ["interpreter.python=3.1", "has python 3.11.2"],
  ["interpreter.perl>=5", "lacks perl"],
  ["interpreter.constructor", "lacks constructor"],
  ["!interpreter.python", "has python"],
  ["driver.docker", "lacks driver docker"],
  ["!driver.exec", "has driver exec"],
  ["nodeVersion>=24", "lacks nodeVersion"],
  ["agentVersion>1.2.3", "has agentVersion 1.2.3"],
])("%s does not hold: it %s", (text, gap) => {
  expect(constraintHolds(read(text), worker)).toBe(false);
  expect(constraintGap(read(text), worker)).toBe(gap);
});

test.each([
  ["", 0, "expected a name"],
  ["   ", 3, "expected a name"],
  ["=linux", 0, "expected a name"],
  ["os=", 3, "expected a value"],
  ["os = ", 5, "expected a value"],
  ["os linux", 3, "expected =, !=, >=, <=, >, <, in or notin after os"],
  ["os=linux windows", 9, "expected the end"],
  ["os>=linux", 2, "os has no order"],
  ["colour=red", 0, "not colour"],
  ["label.=x", 0, "not label."],
  ["!", 1, "expected a name"],
  ["!os=linux", 3, "expected the end after !os"],
  ["label.zone in a", 14, "expected ("],
  ["label.zone in (a", 16, "expected , or )"],
  ["label.zone in (a b)", 17, "expected , or )"],
  ["label.zone in ()", 15, "expected a value"],
  ["label.zone in (a,)", 17, "expected a value"],
  ["label.zone in (a) x", 18, "expected the end"],
  ["label.zone inn (a)", 11, "expected ="],
  ['label.a="x', 8, 'closing "'],
  ['label.a="x\\n"', 8, "escapes"],
  ["cpus>=many", 6, "expected a number for cpus"],
  ["cpus in (2, x)", 12, "expected a number"],
  ["cpus>=-1", 6, "expected a number"],
  ["interpreter.python>=new", 20, "expected a version such as 3.9"],
  ["driver.ssh=1", 10, "a driver is either there"],
  ["driver.ssh in (1)", 11, "a driver is either there"],
])("%j is wrong at character %i: %s", (text, position, message) => {
  const parsed = parseConstraint(text);
  expect(parsed).toMatchObject({ ok: false, position });
  expect(parsed.ok ? "" : parsed.message).toContain(message);
});

test("quoted values keep commas, spaces, quotes and backslashes", () => {
  expect(read('label.a="x, \\"y\\" \\\\"')).toEqual({
    test: "compare",
    subject: { kind: "label", name: "label.a", key: "a" },
    operator: "=",
    value: 'x, "y" \\',
  });
});

test("any text is either read or refused with a place in it; what is read never throws", () => {
  const likely = fc
    .array(
      fc.constantFrom(
        "os",
        "label.",
        "zone",
        " ",
        "!",
        "=",
        ">=",
        "in",
        "notin",
        "(",
        ")",
        ",",
        '"',
        "\\",
        "1.2",
        "x",
        "interpreter.python",
        "driver.",
        "cpus",
        "é",
      ),
      { maxLength: 12 },
    )
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 60 }), fc.string({ unit: "binary", maxLength: 40 }), likely), (text) => {
      const parsed = parseConstraint(text);
      if (parsed.ok) {
        const holds = constraintHolds(parsed.constraint, worker);
        expect(typeof constraintGap(parsed.constraint, worker)).toBe("string");
        expect(typeof holds).toBe("boolean");
      } else {
        expect(parsed.position).toBeGreaterThanOrEqual(0);
        expect(parsed.position).toBeLessThanOrEqual(text.length);
        expect(parsed.message).toMatch(/^expected /);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("in and notin are each other's opposite, and so are = and !=", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("os", "label.zone", "label.none", "interpreter.python", "worker"),
      fc.constantFrom("linux", "a", "3.11", "edge-7", "9"),
      (name, value) => {
        const version = name.startsWith("interpreter") ? "3.11" : value;
        for (const [one, other] of [
          ["in", "notin"],
          ["=", "!="],
        ] as const) {
          const text = (operator: string) => (one === "in" ? `${name} ${operator} (${version})` : `${name}${operator}${version}`);
          expect(constraintHolds(read(text(one)), worker)).toBe(!constraintHolds(read(text(other)), worker));
        }
      },
    ),
  );
});
