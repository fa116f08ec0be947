/** What compose.yaml says, read. What it does is done by image.test.ts, as far as it can be without Docker. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseMariadbUrl } from "../../manager/store/mariadb/address.ts";
import { filled, readCompose } from "./compose.ts";
import { readDockerfile } from "./dockerfile.ts";

const root = join(import.meta.dirname, "../..");
const compose = readCompose(root);
const services = Object.entries(compose.services);
const image = readDockerfile(readFileSync(join(root, "Dockerfile"), "utf8")).at(-1);
const ours = services.filter(([, service]) => service.image === "muster");

test("it refuses to start without its secrets, and has no default for any", () => {
  const texts = services.flatMap(([, { environment = {} }]) => Object.values(environment));
  const variables = texts.flatMap((text) => [...text.matchAll(/\$\{([^}]*)\}/g)].map((match) => match[1] ?? ""));
  const names = ["MUSTER_ADMIN_TOKEN", "MUSTER_DATABASE_PASSWORD", "MUSTER_MANAGER_PASSWORD", "MUSTER_WORKER_PASSWORD"];
  for (const variable of variables) expect(variable).toMatch(/^[A-Z_]+:\?.+/);
  expect([...new Set(variables.map((variable) => variable.split(":")[0] ?? ""))].toSorted()).toEqual(names);
  for (const [name, { environment = {} }] of services)
    for (const [key, text] of Object.entries(environment))
      if (/PASSWORD$|TOKEN$/.test(key) && key !== "MARIADB_RANDOM_ROOT_PASSWORD") expect(text, `${name} ${key}`).toMatch(/^\$\{/);
  // The line in its head that makes them.
  const head = readFileSync(join(root, "compose.yaml"), "utf8").split("services:")[0] ?? "";
  for (const name of names) expect(head).toContain(name.replace("MUSTER_", ""));
});

test("it publishes the API on this host's loopback and nothing else", () => {
  expect(services.flatMap(([, { ports = [] }]) => ports)).toEqual(["127.0.0.1:7070:7070"]);
});

test("every file that it mounts exists, and every volume is declared and used", () => {
  const sources = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(":")[0] ?? ""));
  const files = sources.filter((source) => source.startsWith("./"));
  expect(files).toHaveLength(2);
  for (const file of files) expect(existsSync(join(root, file)), file).toBe(true);
  const named = new Set(sources.filter((source) => !source.startsWith("./")));
  expect(named).toEqual(new Set(Object.keys(compose.volumes)));
});

test("what Mosquitto's configuration names is mounted there", () => {
  const { volumes = [], user } = compose.services["mosquitto"] ?? {};
  const targets = volumes.map((volume) => volume.split(":")[1] ?? "");
  const text = readFileSync(join(root, "deploy/mosquitto/mosquitto.conf"), "utf8");
  const paths = [...text.matchAll(/^(?:password_file|acl_file) (\S+)$/gm)].map((match) => match[1] ?? "");
  expect(paths).toHaveLength(2);
  for (const path of paths)
    expect(
      targets.some((target) => path === target || path.startsWith(`${target}/`)),
      path,
    ).toBe(true);
  // Its password file is written by our image, for its own user alone.
  expect(compose.services["broker-users"]?.command).toContain(paths[0]?.replace("/mosquitto", ""));
  expect(user).toBe("1000:1000");
});

test("it runs our image's own commands, each after what it needs is healthy or done", () => {
  const commands = readFileSync(join(root, "scripts/build/muster.js"), "utf8");
  for (const [name, { command = [] }] of ours) expect(commands, name).toContain(`"${command[0]}"`);
  expect(ours.filter(([, { build }]) => build !== undefined).map(([name]) => name)).toEqual(["credentials"]);
  for (const [name, { depends_on: needs = {} }] of services) {
    for (const [other, { condition }] of Object.entries(needs)) {
      const needed = compose.services[other];
      expect(needed, `${name} needs ${other}`).toBeDefined();
      if (condition === "service_healthy")
        expect(needed?.healthcheck ?? (needed?.image === "muster" && image?.healthcheck)).toBeTruthy();
      else expect(condition).toBe("service_completed_successfully");
    }
  }
  expect(Object.keys(compose.services["manager"]?.depends_on ?? {})).toEqual(["mariadb", "mosquitto"]);
});

test("the manager's database URL is that of the database beside it", () => {
  const { environment = {} } = compose.services["manager"] ?? {};
  const { environment: server = {} } = compose.services["mariadb"] ?? {};
  const url = new URL(filled(environment["MUSTER_DATABASE_URL"] ?? "", { MUSTER_DATABASE_PASSWORD: "secret" }));
  expect(url).toMatchObject({
    username: server["MARIADB_USER"],
    password: "secret",
    hostname: "mariadb",
    pathname: `/${server["MARIADB_DATABASE"]}`,
  });
  expect(() => parseMariadbUrl(url.href)).not.toThrow();
});
