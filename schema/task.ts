import * as z from "zod";
import { fieldMessage } from "./field-message.ts";
import { defaultPool, envName, id } from "./ids.ts";
import { requestLimits as lim, timing } from "./limits.ts";
import { onLost, retryOn } from "./run.ts";

/** A control character in an argument or a value is almost always a mistake; NUL cannot exist in one at all. */
const noNul = (text: string): boolean => !text.includes("\u0000");
const text = (bytes: number) =>
  z
    .string()
    .refine(noNul, "must not contain a NUL byte")
    .refine((value) => Buffer.byteLength(value) <= bytes, `must be at most ${bytes} bytes`);

/** Keys that objects inherit: refused by name, so that no map in the system can be poisoned with them. */
const inherited = new Set(["__proto__", "constructor", "prototype"]);
const plainKey = (key: string): boolean => !inherited.has(key);

export const labelKey = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_./-]{0,62}$/, "must begin with a letter or digit and hold at most 63 of A-Z a-z 0-9 _ . / -")
  .refine(plainKey, "is a reserved word");
export const labelValue = z.string().max(lim.labelValueChars).refine(noNul, "must not contain a NUL byte");
export const labels = z
  .record(labelKey, labelValue)
  .refine((map) => Object.keys(map).length <= lim.labelsMax, `at most ${lim.labelsMax} labels`);
export type Labels = Readonly<Record<string, string>>;

/** Names that Muster itself sets in a process; a task's env may not override them. */
export const reservedEnv = /^(MUSTER_|PARAM_|TRACEPARENT$)/;

export const env = z
  .record(
    envName.refine((n) => !reservedEnv.test(n), "is set by Muster itself").refine(plainKey, "is a reserved word"),
    text(lim.envBytes),
  )
  .refine((map) => Object.keys(map).length <= lim.envMax, `at most ${lim.envMax} variables`)
  .refine((map) => totalBytes(map) <= lim.envBytes, `at most ${lim.envBytes} bytes together`);

export const params = z
  .record(envName.refine(plainKey, "is a reserved word"), text(lim.paramsBytes))
  .refine((map) => Object.keys(map).length <= lim.paramsMax, `at most ${lim.paramsMax} parameters`)
  .refine((map) => totalBytes(map) <= lim.paramsBytes, `at most ${lim.paramsBytes} bytes together`);
export type Params = Readonly<Record<string, string>>;

function totalBytes(map: Readonly<Record<string, string>>): number {
  let sum = 0;
  for (const [key, value] of Object.entries(map)) sum += Buffer.byteLength(key) + Buffer.byteLength(value);
  return sum;
}

const common = {
  stdin: text(lim.stdinBytes).nullable().default(null),
  workingDirectory: text(4_096)
    .nullable()
    .default(null)
    .describe("absolute path on the worker; null: a fresh folder of the attempt's own"),
  user: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/, "must be a user name: a letter or _ and then at most 31 of A-Z a-z 0-9 _ . -")
    .nullable()
    .default(null)
    .describe("run as this user of the worker's host; null: the agent's own"),
};
const args = z.array(text(lim.argBytes)).max(lim.argsMax).default([]);

export const interpreters = ["sh", "bash", "ksh", "python", "node", "perl", "pwsh", "powershell", "cmd", "bat"] as const;
export const interpreter = z.enum(interpreters);
export type Interpreter = z.infer<typeof interpreter>;

/** A program with its arguments, never through a shell. */
export const execRun = z.strictObject({
  driver: z.literal("exec"),
  program: text(4_096).refine((v) => v !== "", "must not be empty"),
  args,
  ...common,
});

/** A script for an interpreter of the worker. `script` is null when its content was uploaded (`PUT /tasks/{id}/script`) or is large. */
export const scriptRun = z.strictObject({
  driver: z.literal("script"),
  interpreter,
  script: z.string().nullable().default(null),
  /** Content that is not UTF-8, base64. Set by an upload only. */
  scriptBase64: z.base64().nullable().default(null),
  args,
  ...common,
});

/** A driver that a third party wrote; its own options are checked by the worker that has it. */
export const otherRun = z.strictObject({
  driver: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,35}$/, "must be a driver's name: a-z, 0-9 and -")
    .refine((name) => name !== "exec" && name !== "script", "is a driver of Muster's own"),
  options: z.record(z.string().refine(plainKey, "is a reserved word"), z.json()).default({}),
  ...common,
});

/** What to run. Discriminated by `driver`; any other name is a third party's. */
export const runSpec = z.unknown().transform((value, ctx): RunSpec => {
  const driver = (value as { driver?: unknown } | null)?.driver;
  const shape = driver === "exec" ? execRun : driver === "script" ? scriptRun : otherRun;
  const parsed = shape.safeParse(value, { error: fieldMessage });
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) ctx.addIssue({ ...issue });
  return z.NEVER;
});
export type ExecRun = z.infer<typeof execRun>;
export type ScriptRun = z.infer<typeof scriptRun>;
export type OtherRun = z.infer<typeof otherRun>;
export type RunSpec = ExecRun | ScriptRun | OtherRun;

export const retry = z.strictObject({
  attempts: z.int().min(1).max(lim.attemptsMax).default(1).describe("all tries, the first included"),
  backoffSeconds: z
    .number()
    .min(0)
    .max(86_400)
    .default(5)
    .describe("before the second try; doubles for each further one, with jitter"),
  on: z.array(retryOn).default(["failed", "timedOut"]),
});

export const requires = z.strictObject({
  slots: z.int().min(0).max(1_000).default(1),
  memoryMb: z.int().min(0).max(100_000_000).default(0),
  cpus: z.number().min(0).max(10_000).default(0),
});

export const taskName = z
  .string()
  .min(1)
  .max(lim.nameChars)
  .regex(/^[^\u0000-\u001f\u007f/]+$/, "must not contain / or control characters")
  .refine((name) => name === name.trim(), "must not begin or end with a space");

const definition = {
  name: taskName,
  kind: z.literal("batch").default("batch"),
  pool: id.default(defaultPool),
  run: runSpec,
  params: params.default({}).describe("declared parameters and their defaults; each becomes PARAM_<name>"),
  env: env.default({}),
  timeoutSeconds: z.number().positive().max(lim.timeoutSecondsMax).nullable().default(null),
  killGraceSeconds: z.number().min(0).max(3_600).default(timing.killGraceSeconds),
  retry: retry.default({ attempts: 1, backoffSeconds: 5, on: ["failed", "timedOut"] }),
  onLost: onLost.default("wait"),
  lostAfterSeconds: z.number().positive().max(lim.timeoutSecondsMax).default(timing.lostAfterSeconds),
  giveUpAfterSeconds: z.number().positive().max(lim.timeoutSecondsMax).default(timing.giveUpAfterSeconds),
  attemptOverlap: z.enum(["never", "allow"]).default("never"),
  constraints: z.array(z.string().min(1).max(lim.constraintChars)).max(lim.constraintsMax).default([]),
  requires: requires.default({ slots: 1, memoryMb: 0, cpus: 0 }),
  labels: labels.default({}),
};

/** The body of `POST /tasks`; every default is filled in by parsing it. */
export const taskInput = z.strictObject(definition);
export type TaskInput = z.input<typeof taskInput>;
/** A task version's content with every default filled in. */
export type TaskDefinition = z.output<typeof taskInput>;
