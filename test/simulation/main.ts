/** `npm run simulate`: many seeds on all cores, or one seed with its story. */
import { fork } from "node:child_process";
import { resolve } from "node:path";
import { processClock } from "../../schema/kit/clock.ts";
import { saidWrongUse } from "../kit/flags.ts";
import { readAsked } from "./asked.ts";
import { addTotals, neverCame, noTotals, playSeeds, type Totals } from "./batch.ts";
import { explore } from "./explore/main.ts";
import { keepPlan } from "./kept.ts";
import { planOf, type Plan } from "./plan.ts";
import { playPlanted } from "./planted-runs.ts";
import { loadProduct, type Product } from "./product.ts";
import { kindOfViolation, shrink } from "./shrink.ts";
import { World } from "./world.ts";

const usage = `Usage: npm run simulate -- [--seeds N] [--from N] [--processes N]
       npm run simulate -- --seed N
       npm run simulate -- --explore
       npm run simulate -- --planted [--record] [--only WORDS]

Plays simulated fleets under seeded faults and prints what was seen. Exit code 1 when an invariant did not hold, or when an
interesting happening never came. A seed that fails is cut to what it needs, told as a story, and kept in
test/simulation/seeds.json.

  --seeds N      how many seeds (200)
  --from N       the first of them (1)
  --processes N  how many play side by side (one for each core)
  --seed N       plays this one alone, twice, and tells its story
  --explore      two managers, two workers, one run: everything that may happen, in every order
  --planted      bugs that are planted in a copy of the product, each of which must be caught; by a seed up to 2,000, by the
                 exploration, or by a test. --record keeps the seeds for npm test, --only takes those with these words
`;

/** Seeds that one message to a child asks for: progress can be said, and nobody waits long for the slowest. */
const seedsAtOnce = 25;
const root = resolve(import.meta.dirname, "../..");

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(): Promise<number> {
  const asked = readAsked(process.argv.slice(2));
  switch (asked.what) {
    case "help":
      say(usage);
      return 0;
    case "child":
      return await playForParent();
    case "explore":
      return await explore(say);
    case "planted":
      return await playPlanted(say, { ...asked, most: 2_000 });
    case "one":
      return await playOne(asked.seed);
    case "many":
      return await playMany(asked.from, asked.seeds, asked.processes);
  }
}

async function playOne(seed: number): Promise<number> {
  const product = await loadProduct(root);
  const [first, second] = [await new World(seed, product, { story: true }).play(), await new World(seed, product).play()];
  for (const line of first.story) say(line);
  for (const line of first.violations) say(`VIOLATED: ${line}`);
  say(`seed ${seed}: ${first.runs} runs ${JSON.stringify(first.states)}, ${first.processes} processes, ${first.faults} faults`);
  say(`trace ${first.trace}, and ${second.trace} when played again`);
  if (first.trace !== second.trace) say("VIOLATED: the same seed gave two histories (I19)");
  return first.violations.length > 0 || first.trace !== second.trace ? 1 : 0;
}

async function playMany(from: number, seeds: number, processes: number): Promise<number> {
  const beganMs = processClock.now().mono;
  const totals = await farm(from, seeds, processes);
  const seconds = (processClock.now().mono - beganMs) / 1_000;
  sayTotals(totals, seconds, processes);
  const [failure] = totals.failures.toSorted((a, b) => a.seed - b.seed);
  if (failure) await tellFailure(await loadProduct(root), failure.seed, failure.violations);
  const missing = neverCame(totals);
  for (const name of missing) say(`NEVER CAME: ${name}`);
  return failure || missing.length > 0 ? 1 : 0;
}

/** Children play parts of the seeds; each asks for the next part when it is done with one. */
async function farm(from: number, seeds: number, processes: number): Promise<Totals> {
  const totals = noTotals();
  let next = from;
  await Promise.all(
    Array.from({ length: Math.min(processes, Math.ceil(seeds / seedsAtOnce)) }, async () => {
      // Worlds are young and die young: with more room for them the collector does a third of the work.
      const child = fork(import.meta.filename, ["--child"], { execArgv: ["--max-semi-space-size=64"] });
      const give = (): void => {
        if (next >= from + seeds) {
          child.disconnect();
          return;
        }
        const count = Math.min(seedsAtOnce, from + seeds - next);
        child.send({ from: next, count });
        next += count;
      };
      child.on("message", (message) => {
        addTotals(totals, message as Totals);
        give();
      });
      give();
      const ended = await new Promise((done) => child.on("exit", (code, signal) => done(signal ?? code)));
      if (ended !== 0) throw new Error(`a process that played seeds ended with ${String(ended)}`);
    }),
  );
  return totals;
}

async function playForParent(): Promise<number> {
  const product = await loadProduct(root);
  process.on("message", (message) => {
    const { from, count } = message as { readonly from: number; readonly count: number };
    void playSeeds(
      product,
      Array.from({ length: count }, (_, i) => from + i),
    ).then((totals) => process.send?.(totals));
  });
  return await new Promise((done) => process.on("disconnect", () => done(0)));
}

function sayTotals(totals: Totals, seconds: number, processes: number): void {
  const days = totals.simulatedMs / 86_400_000;
  say(
    `${totals.seeds} seeds in ${seconds.toFixed(1)} s on ${processes} processes: ${(totals.seeds / seconds).toFixed(1)} seeds/s, ${days.toFixed(2)} simulated days`,
  );
  say(
    `${totals.runs} runs, ${totals.processes} processes, ${totals.faults} faults, ${totals.failures.length} seeds with violations`,
  );
  for (const [name, count] of Object.entries(totals.counts)) say(`${String(count).padStart(9)}  ${name}`);
  const failures = totals.failures.toSorted((a, b) => a.seed - b.seed);
  if (failures.length > 0) say(`Seeds with violations: ${failures.map(({ seed }) => seed).join(" ")}`);
  for (const { seed, violations } of failures.slice(0, 20)) say(`VIOLATED in seed ${seed}: ${violations[0]}`);
}

/** Cuts the failing seed to what it needs, tells that as a story, and keeps it. */
async function tellFailure(product: Product, seed: number, violations: readonly string[]): Promise<void> {
  const kind = kindOfViolation(violations[0] ?? "");
  const fails = async (plan: Plan): Promise<boolean> => {
    const again = await new World(plan, product).play();
    return again.violations.some((line) => kindOfViolation(line) === kind);
  };
  const { plan, plays } = await shrink(planOf(seed), fails);
  const told = await new World(plan, product, { story: true }).play();
  say(
    `\nSeed ${seed}, cut in ${plays} plays to ${plan.workers.length} workers, ${plan.clients.length} clients and ${plan.faults.length} faults:`,
  );
  for (const line of told.story) say(line);
  for (const line of told.violations) say(`VIOLATED: ${line}`);
  keepPlan({ why: told.violations[0] ?? kind, plan });
  say("It is kept in test/simulation/seeds.json, which npm test plays. Run it whole: npm run simulate -- --seed " + String(seed));
}

process.exitCode = await main().catch(saidWrongUse);
