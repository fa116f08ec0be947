import { createHmac } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { sha256Hex } from "../../../schema/digest.ts";
import { buildTicket, type TicketGrant } from "../../../schema/ticket.ts";
import { rig, type Rig } from "./kit.ts";
import { attemptRow, runRow } from "./rows.ts";

let r: Rig;
beforeEach(async () => {
  r = await rig();
});

describe("tickets", () => {
  const text = JSON.stringify({ spec: {}, env: {} });
  const sha256 = sha256Hex(text);
  const sign = async (grant: TicketGrant, rigged = r): Promise<Record<string, string>> => {
    const key = await rigged.store.secret("ticket");
    return {
      authorization: `Ticket ${buildTicket(grant, (signed) => createHmac("sha256", key).update(signed).digest("base64url"))}`,
    };
  };
  const get = { direction: "get", worker: "w1", attempt: "a1", sha256 } as const;
  const put = { direction: "put", worker: "w1", attempt: "a1", maxBytes: 1_000 } as const;

  beforeEach(async () => {
    await r.commit({ op: "insertRun", row: runRow() }, { op: "insertAttempt", row: attemptRow({ id: "a1" }) });
    await r.store.putBody(sha256, Buffer.from(text));
  });

  test("a body is given to its ticket until the attempt has ended", async () => {
    const headers = await sign(get);
    const response = await r.call("GET", `/bodies/${sha256}`, { bare: true, headers });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(text);
    expect((await r.call("GET", `/bodies/${sha256}`, { bare: true, headers })).status).toBe(200);
    await r.commit({ op: "updateAttempt", id: "a1", set: { state: "ended" } });
    expect((await r.call("GET", `/bodies/${sha256}`, { bare: true, headers })).status).toBe(403);
  });

  test("a ticket holds for what it says and nothing else", async () => {
    const bad = [
      await sign({ ...get, sha256: "0".repeat(64) }),
      await sign({ ...get, attempt: "unknown" }),
      await sign({ ...get, worker: "w2" }),
      await sign(put),
      { authorization: `${(await sign(get))["authorization"]}A` },
      { authorization: (await sign(get, await rig()))["authorization"] as string },
      { authorization: "Ticket nonsense" },
    ];
    for (const headers of bad) expect((await r.call("GET", `/bodies/${sha256}`, { bare: true, headers })).status).toBe(403);
    expect((await r.call("GET", `/bodies/${sha256}`)).status).toBe(401);
    expect((await r.call("GET", `/bodies/xyz`, { bare: true, headers: await sign(get) })).status).toBe(400);
    const missing = { ...get, sha256: "1".repeat(64) };
    expect((await r.call("GET", `/bodies/${missing.sha256}`, { bare: true, headers: await sign(missing) })).status).toBe(404);
  });

  test("a result is stored by its digest, within the ticket's size, and must be JSON", async () => {
    const headers = { ...(await sign(put)), "content-type": "application/json" };
    const response = await r.call("PUT", "/attempts/a1/result", { bare: true, body: '{"a": 1}', headers });
    expect(await response.json()).toEqual({ sha256: sha256Hex('{"a": 1}'), size: 8 });
    expect(Buffer.from((await r.store.getBody(sha256Hex('{"a": 1}'))) ?? []).toString()).toBe('{"a": 1}');
    expect((await r.call("PUT", "/attempts/a1/result", { bare: true, body: `"${"x".repeat(1_000)}"`, headers })).status).toBe(
      413,
    );
    expect((await r.call("PUT", "/attempts/a1/result", { bare: true, body: "{", headers })).status).toBe(400);
    expect(
      (await r.call("PUT", "/attempts/a1/result", { bare: true, body: Buffer.from([0x22, 0xff, 0x22]), headers })).status,
    ).toBe(400);
    expect((await r.call("PUT", "/attempts/a2/result", { bare: true, body: "{}", headers })).status).toBe(403);
    expect(
      (
        await r.call("PUT", "/attempts/a1/result", {
          bare: true,
          body: "{}",
          headers: { ...(await sign(get)), "content-type": "application/json" },
        })
      ).status,
    ).toBe(403);
  });

  test("without a good ticket not a byte of a body is read", async () => {
    let pulled = 0;
    const body = new ReadableStream(
      { pull: (controller) => ((pulled += 1), controller.enqueue(new Uint8Array(65_536))) },
      { highWaterMark: 0 },
    );
    const response = await r.call("PUT", "/attempts/a1/result", {
      bare: true,
      body,
      headers: { ...(await sign({ ...put, worker: "w2" })), "content-type": "application/json" },
    });
    expect(response.status).toBe(403);
    expect(pulled).toBe(0);
  });
});
