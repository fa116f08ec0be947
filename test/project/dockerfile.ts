/** Reads as much of a Dockerfile as ours uses. */
export interface Stage {
  readonly from: string;
  /** Words of each COPY, without its flags. */
  readonly copies: readonly (readonly string[])[];
  /** Text of each RUN. */
  readonly runs: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: string | undefined;
  readonly healthcheck: readonly string[] | undefined;
  readonly entrypoint: readonly string[] | undefined;
  readonly command: readonly string[] | undefined;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The stages in order. Throws on an instruction that it does not know, so that a new one is not passed over in silence. */
export function readDockerfile(text: string): Stage[] {
  const stages: Mutable<Stage>[] = [];
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
  for (const line of lines) {
    const [word = "", ...rest] = line.split(/\s+/);
    const value = rest.join(" ");
    const stage = stages.at(-1);
    if (word === "FROM")
      stages.push({
        from: rest[0] ?? "",
        copies: [],
        runs: [],
        env: {},
        user: undefined,
        healthcheck: undefined,
        entrypoint: undefined,
        command: undefined,
      });
    else if (!stage) throw new Error(`${word} before FROM`);
    else if (word === "RUN") stage.runs = [...stage.runs, value];
    else if (word === "COPY") stage.copies = [...stage.copies, rest.filter((one) => !one.startsWith("--"))];
    else if (word === "ENV")
      stage.env = { ...stage.env, ...Object.fromEntries(rest.map((pair) => pair.split("=", 2) as [string, string])) };
    else if (word === "USER") stage.user = value;
    else if (word === "HEALTHCHECK") stage.healthcheck = JSON.parse(value.slice(value.indexOf("["))) as string[];
    else if (word === "ENTRYPOINT") stage.entrypoint = JSON.parse(value) as string[];
    else if (word === "CMD") stage.command = JSON.parse(value) as string[];
    else if (!["WORKDIR", "VOLUME", "EXPOSE"].includes(word))
      throw new Error(`an instruction that this reader does not know: ${word}`);
  }
  return stages;
}
