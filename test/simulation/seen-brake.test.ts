/** The model of the fleet brake (rule 11) says "held" when it must have been, and only then: a batch's steps may lie far apart. */
import { expect, test } from "vitest";
import { Counters } from "./counters.ts";
import type { Life } from "./life.ts";
import type { Plan } from "./plan.ts";
import { SeenBrake, type StepSpan } from "./seen-brake.ts";
import { Witness } from "./witness.ts";

const fourth = "w4";
const life = { name: "m1-1" } as Life;
const plan = { timing: { heartbeatMs: 3_000, brakeHoldMs: 45_000 } } as Plan;
const at = (begunMs: number, inputsMs = begunMs): StepSpan => ({ begunMs, inputsMs });

/** Three of four vanish at 0, the fourth in a batch of this span; all are silent still when the fourth is declared lost. */
function violations(span: StepSpan, between: (brake: SeenBrake) => void = () => undefined): number {
  const witness = new Witness();
  const workers = ["w1", "w2", "w3", fourth];
  const brake = new SeenBrake({
    plan,
    witness,
    counters: new Counters(),
    workerRow: () => ({ state: "unreachable" }),
    workerStates: () => workers.map(() => "unreachable"),
  });
  for (const id of workers) {
    if (id === fourth) between(brake);
    brake.noteGone(id, id === fourth ? span : at(0));
  }
  brake.lost(life, fourth, 30_000);
  return witness.violations.length;
}

test("all within two beats are a fleet that is held, however the steps lie in their batches", () => {
  expect(violations(at(6_000))).toBeGreaterThan(0);
  expect(violations(at(1_000, 6_000))).toBeGreaterThan(0);
});

test("whoever may have been noted more than two beats later is not certainly one of them (seed 19473)", () => {
  expect(violations(at(6_001))).toBe(0);
  expect(violations(at(4_186, 9_062))).toBe(0);
});

test("whoever was heard in between did not vanish together with the others", () => {
  expect(violations(at(1_000), (brake) => brake.noteBack("w3"))).toBe(0);
});

test("whoever takes over a fleet that is silent holds it from then on (seed 11864)", () => {
  const witness = new Witness();
  const brake = new SeenBrake({
    plan,
    witness,
    counters: new Counters(),
    workerRow: () => ({ state: "unreachable" }),
    workerStates: () => ["unreachable", "unreachable", "unreachable", "unreachable", "online"],
  });
  brake.tookLease(1_000);
  brake.lost(life, fourth, 46_000);
  expect(witness.violations).toEqual([]);
  brake.tookLease(1_000);
  brake.lost(life, fourth, 45_999);
  expect(witness.violations.length).toBeGreaterThan(0);
});
