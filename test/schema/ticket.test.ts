import { expect, test } from "vitest";
import { buildTicket, parseTicket, ticketText, type TicketGrant } from "../../schema/ticket.ts";

const get: TicketGrant = { direction: "get", worker: "a", attempt: "at1", sha256: "f".repeat(64) };
const put: TicketGrant = { direction: "put", worker: "a", attempt: "at1", maxBytes: 10_485_760 };

test.each([get, put])("a ticket says what it grants and is read back: %j", (grant) => {
  const ticket = buildTicket(grant, (text) => `sig_${text.length}`);
  expect(parseTicket(ticket)).toEqual({ grant, signature: `sig_${ticketText(grant).length}` });
});

test("the signed text has one line for each part", () => {
  expect(ticketText(get)).toBe(`get\na\nat1\n${"f".repeat(64)}`);
  expect(ticketText(put)).toBe("put\na\nat1\n10485760");
});

test.each([
  "",
  "get.a.b.c",
  `get.a.b.${"f".repeat(64)}`,
  `get.a.b.${"F".repeat(64)}.sig`,
  "get.a.b.1234.sig",
  `put.a.b.${"0".repeat(64)}.sig`,
  "put.a.b.-1.sig",
  "put.a/c.b.1.sig",
  "put.a.b.1.sig.more",
  "put.a.b.1.s\n",
  "take.a.b.1.sig",
])("%j is no ticket", (text) => {
  expect(parseTicket(text)).toBeUndefined();
});
