/** What the doctor says when the API does not answer what it asks. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Api } from "../../cli/api.ts";
import { brokerTrouble } from "../../cli/checks/broker.ts";
import { made, type Finding } from "../../cli/checks/finding.ts";
import { healthCheck } from "../../cli/checks/health.ts";
import { runsCheck } from "../../cli/checks/runs.ts";
import { workersCheck } from "../../cli/checks/workers.ts";

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function asked(port: number): Promise<readonly Finding[]> {
  const api = (signal: AbortSignal): Api => new Api(`http://127.0.0.1:${port}`, "mst_a-token-of-the-test", signal);
  return (await Promise.all([healthCheck(api), workersCheck(api), runsCheck(api)].map((check) => made(check)))).flat();
}

const named = (found: readonly Finding[]): string[] => found.map(({ name, status }) => `${name} ${status}`);

test("a broker's trouble is said once, with its address", () => {
  const url = "mqtt://127.0.0.1:1883";
  const refused = new Error(`no connection to the broker at ${url}: nothing listens there`);
  expect(brokerTrouble(url, refused, false)).toBe(refused.message);
  expect(brokerTrouble(url, new Error("it took a message"), false)).toBe(`the broker at ${url}: it took a message`);
  expect(brokerTrouble(url, new Error("no longer wanted"), true)).toBe(`the broker at ${url} does not answer within 5 s`);
});

test("nobody answers: one failure, and what could not be asked was not looked at", async () => {
  const server = createServer();
  const port = await listening(server);
  server.close();
  const found = await asked(port);
  expect(named(found)).toEqual(["api fail", "workers skip", "runs skip"]);
  expect(found[1]?.sentence).toMatch(/^workers and their clocks were not looked at: nobody answers at /);
});

test("the token is not known: the failure says which, and what to do", async () => {
  const server = createServer((request, response) => {
    response.writeHead(request.url === "/health" ? 200 : 401, { "content-type": "application/json" });
    response.end(
      JSON.stringify(request.url === "/health" ? { status: "pass", version: "1", checks: [], alarms: [] } : { detail: "no" }),
    );
  });
  onTestFinished(() => void server.close());
  const found = await asked(await listening(server));
  expect(named(found)).toEqual(["api pass", "workers fail", "runs fail"]);
  expect(found[1]).toMatchObject({
    sentence: expect.stringContaining("refuses the token"),
    advice: expect.stringContaining("MUSTER_TOKEN"),
  });
});
