import { beforeEach, expect, test } from "vitest";
import { wholeLength } from "../../../manager/api/log-reader.ts";
import { problemIn, rig, type Rig } from "./kit.ts";
import { attemptRow, eventRow, runRow } from "./rows.ts";

let r: Rig;
const bytes = (text: string): Uint8Array => Buffer.from(text);

beforeEach(async () => {
  r = await rig();
  await r.commit(
    { op: "insertRun", row: runRow({ state: "running" }) },
    { op: "insertAttempt", row: attemptRow({ id: "a1", number: 1, state: "ended", end: { how: "exited", code: 1 } }) },
    { op: "insertAttempt", row: attemptRow({ id: "a2", number: 2 }) },
  );
  await r.logs.append("a1", "stdout", { kind: "bytes", offset: 0, bytes: bytes("first\n") });
  await r.logs.append("a2", "stdout", { kind: "bytes", offset: 0, bytes: bytes("out 1\n") });
  await r.logs.append("a2", "stdout", { kind: "gap", offset: 6, length: 100, why: "the disk was full" });
  await r.logs.append("a2", "stdout", { kind: "bytes", offset: 106, bytes: bytes("out 2\n") });
  await r.logs.append("a2", "stderr", { kind: "bytes", offset: 0, bytes: bytes("err\n") });
});

const get = async (query = "", accept?: string): Promise<string> => {
  const response = await r.call("GET", `/runs/r1/logs${query}`, accept ? { headers: { accept } } : {});
  expect(response.status).toBe(200);
  return response.text();
};

test("text: the newest attempt, stdout then stderr, gaps marked", async () => {
  expect(await get()).toBe("out 1\n\n[muster: 100 bytes of stdout are missing: the disk was full]\nout 2\nerr\n");
  expect(await get("?attempt=1")).toBe("first\n");
  expect(await get("?stream=stderr")).toBe("err\n");
  expect(await get("?stream=stdout&from=106")).toBe("out 2\n");
  expect(await get("?stream=stdout&from=2&limit=3")).toBe("t 1");
});

test("NDJSON names stream and offset of each stretch, and says what is missing", async () => {
  const lines = (await get("", "application/x-ndjson"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toEqual([
    { attempt: 2, stream: "stdout", offset: 0, length: 6, text: "out 1\n" },
    { attempt: 2, stream: "stdout", offset: 6, length: 100, gap: "the disk was full" },
    { attempt: 2, stream: "stdout", offset: 106, length: 6, text: "out 2\n" },
    { attempt: 2, stream: "stderr", offset: 0, length: 4, text: "err\n" },
  ]);
});

test("bytes that are no text are base64, and a character that is not whole yet is waited for or given as it is", async () => {
  await r.commit(
    { op: "insertRun", row: runRow({ id: "r2", order: 2, state: "failed" }) },
    { op: "insertAttempt", row: attemptRow({ id: "b1", runId: "r2" }) },
  );
  await r.logs.append("b1", "stdout", { kind: "bytes", offset: 0, bytes: Uint8Array.of(0xff, 0x00, 0x41) });
  await r.logs.append("b1", "stderr", { kind: "bytes", offset: 0, bytes: Uint8Array.of(0x61, 0xc5) });
  const response = await r.call("GET", "/runs/r2/logs", { headers: { accept: "application/x-ndjson" } });
  const lines = (await response.text())
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toEqual([
    { attempt: 1, stream: "stdout", offset: 0, length: 3, base64: "/wBB" },
    { attempt: 1, stream: "stderr", offset: 0, length: 1, text: "a" },
    { attempt: 1, stream: "stderr", offset: 1, length: 1, base64: "xQ==" },
  ]);
  const plain = await r.call("GET", "/runs/r2/logs?stream=stdout");
  expect(new Uint8Array(await plain.arrayBuffer())).toEqual(Uint8Array.of(0xff, 0x00, 0x41));
});

test.each(["ž", "€", "😀"])("a character is cut nowhere: %s", (character) => {
  const all = Buffer.from(`a${character}`);
  expect(wholeLength(all)).toBe(all.byteLength);
  for (let cut = 1; cut < Buffer.byteLength(character); cut += 1)
    expect(wholeLength(all.subarray(0, all.byteLength - cut))).toBe(1);
});

test("follows through the further attempts until the run has ended, output that comes after the end included", async () => {
  const response = await r.call("GET", "/runs/r1/logs?follow=true", { headers: { accept: "text/event-stream" } });
  expect(response.headers.get("x-accel-buffering")).toBe("no");
  const text = response.text();
  await r.logs.append("a2", "stderr", { kind: "bytes", offset: 4, bytes: bytes("more\n") });
  await r.commit(
    { op: "updateAttempt", id: "a2", set: { state: "ended" } },
    { op: "insertAttempt", row: attemptRow({ id: "a3", number: 3 }) },
  );
  r.plane.emit(eventRow(1, { kind: "attemptSent" }));
  await r.logs.append("a3", "stdout", { kind: "bytes", offset: 0, bytes: bytes("third") });
  await r.commit({ op: "updateRun", id: "r1", set: { state: "succeeded", end: { how: "exited", code: 0 } } });
  r.plane.emit(eventRow(2, { kind: "runEnded" }));
  await r.logs.append("a3", "stdout", { kind: "bytes", offset: 5, bytes: bytes(" and last\n") });
  const events = (await text)
    .trimEnd()
    .split("\n\n")
    .map((block) => Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s) as [string, string])));
  expect(events.at(-1)).toEqual({ event: "end", data: '{"state":"succeeded"}' });
  const logs = events
    .filter(({ event }) => event === "log")
    .map(({ id, data }) => ({ id, ...(JSON.parse(data as string) as { attempt: number; stream: string; text?: string }) }));
  const textOf = (attempt: number, stream: string): string =>
    logs
      .filter((l) => l.attempt === attempt && l.stream === stream)
      .map((l) => l.text ?? "")
      .join("");
  expect(textOf(2, "stderr")).toBe("err\nmore\n");
  expect(textOf(3, "stdout")).toBe("third and last\n");
  expect(logs.at(-1)?.id).toBe("3,15,0");
});

test("an event stream goes on where its Last-Event-ID was", async () => {
  await r.commit({ op: "updateRun", id: "r1", set: { state: "failed" } });
  const response = await r.call("GET", "/runs/r1/logs", { headers: { accept: "text/event-stream", "last-event-id": "2,106,4" } });
  const text = await response.text();
  expect(text).toContain('"text":"out 2\\n"');
  expect(text).not.toContain("out 1");
  expect(text).not.toContain("err");
  expect((await r.call("GET", "/runs/r1/logs", { headers: { accept: "text/event-stream", "last-event-id": "x" } })).status).toBe(
    400,
  );
});

test("a follower that leaves is let go", async () => {
  const response = await r.call("GET", "/runs/r1/logs?follow=true");
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  expect(Buffer.from((await reader.read()).value ?? []).toString()).toBe("out 1\n");
  await reader.cancel();
  expect(r.lines.at(-1)).toMatchObject({ route: "/runs/{id}/logs", outcome: "left", runId: "r1" });
});

test("what cannot be is said", async () => {
  expect((await r.call("GET", "/runs/none/logs")).status).toBe(404);
  expect((await r.call("GET", "/runs/r1/logs?attempt=9")).status).toBe(404);
  expect((await r.call("GET", "/runs/r1/logs?from=5")).status).toBe(400);
  const image = await r.call("GET", "/runs/r1/logs", { headers: { accept: "image/png" } });
  expect(image.status).toBe(406);
  expect((await problemIn(image)).detail).toContain("text/plain");
  await r.commit({ op: "insertRun", row: runRow({ id: "r3", order: 3 }) });
  expect(await (await r.call("GET", "/runs/r3/logs")).text()).toBe("");
});
