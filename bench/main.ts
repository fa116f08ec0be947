/** `npm run bench -- [a b …] [--rounds 3] [--quick] [--only text] [--json] [--write] [--profile folder]` */
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { installMissing } from "../test/kit/packages.ts";
import { letters, type Figure, type Letter } from "./kit/figure.ts";
import { removeAllFolders } from "./kit/folders.ts";
import { machine } from "./kit/machine.ts";
import { writeReport } from "./kit/report.ts";
import { runSection, type Plan, type Section } from "./kit/section.ts";
import { textTable } from "./kit/table.ts";
import { sections } from "./sections.ts";

const help = `npm run bench -- [sections] [options]

  sections          letters of ${letters.join(" ")}; none: all but those that must be named
  --rounds <n>      rounds of each variant (default 3), of which the medians are shown
  --quick           small amounts: shows that it works, its figures mean nothing
  --only <text>     only variants whose name holds the text
  --json            prints the figures as JSON instead of a table
  --write           writes what was measured into docs/performance.md
  --profile <dir>   Muster's processes leave CPU profiles there (they cost some speed)

${sections.map(({ letter, title, optIn }) => `  ${letter}  ${title}${optIn ? " (only when it is named)" : ""}`).join("\n")}
`;

/** Found or installed as the tests do it; what is missing then leaves its rows without figures. */
const servers = [
  { program: "mosquitto", pkg: "mosquitto" },
  { program: "mariadbd", pkg: "mariadb-server" },
  { program: "redis-server", pkg: "redis-server" },
];

interface Asked {
  readonly sections: readonly Section[];
  readonly plan: Plan;
  readonly json: boolean;
  readonly write: boolean;
}

function readArguments(): Asked | undefined {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "3" },
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      json: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      profile: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds takes a whole number from 1, not ${values.rounds}`);
  const named = positionals.flatMap((word) => word.split(""));
  const unknown = named.find((letter) => !letters.includes(letter as Letter));
  if (unknown !== undefined) throw new Error(`there is no section ${unknown}; there are ${letters.join(" ")}`);
  if (values.write && values.quick)
    throw new Error("--quick measures nothing that is worth writing down; drop --write or --quick");
  const profileDir = values.profile === undefined ? undefined : resolve(values.profile);
  if (profileDir !== undefined) mkdirSync(profileDir, { recursive: true });
  return {
    sections: sections.filter(({ letter, optIn }) => (named.length === 0 ? optIn !== true : named.includes(letter))),
    plan: {
      rounds,
      quick: values.quick,
      ...(profileDir === undefined ? {} : { profileDir }),
      ...(values.only === undefined ? {} : { only: values.only }),
      say: (line) => process.stderr.write(`${line}\n`),
    },
    json: values.json,
    write: values.write,
  };
}

async function main(): Promise<void> {
  const asked = readArguments();
  if (!asked) {
    process.stdout.write(help);
    return;
  }
  if (process.platform !== "linux") throw new Error("the benchmarks read CPU time and memory from /proc, so they need Linux");
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      removeAllFolders();
      process.exit(1);
    });
  installMissing(servers, "what the benchmarks measure with", asked.plan.say);
  const figures: Figure[] = [];
  const host = machine();
  for (const section of asked.sections) figures.push(...(await runSection(section, asked.plan)));
  if (asked.json) process.stdout.write(`${JSON.stringify({ machine: host, figures }, undefined, 2)}\n`);
  else process.stdout.write(`\n${host.line}\n\n${textTable(figures)}\n`);
  if (figures.some(({ failed }) => failed !== undefined)) {
    process.stderr.write("bench: something failed; its rows say what, and nothing was written\n");
    process.exitCode = 1;
  } else if (asked.write) {
    process.stderr.write(`written: ${writeReport(host, asked.sections, figures)}\n`);
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
