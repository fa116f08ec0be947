import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { until } from "../kit/until.ts";
import { Edge } from "./edge.ts";

/** A server that sends back what it is told, and knows what it was told. */
let server: Server;
let edge: Edge;
let told = "";
const inside = new Set<Socket>();
const clients: Socket[] = [];

beforeEach(async () => {
  told = "";
  server = createServer((socket) => {
    inside.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => inside.delete(socket));
    socket.on("data", (bytes) => {
      told += bytes.toString();
      socket.write(bytes);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  edge = await Edge.to((server.address() as AddressInfo).port);
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await edge[Symbol.asyncDispose]();
  for (const socket of inside) socket.destroy();
  await new Promise((done) => server.close(done));
});

interface Talk {
  readonly socket: Socket;
  heard: string;
  closed: boolean;
}

async function talk(): Promise<Talk> {
  const socket = connect(edge.port, "127.0.0.1");
  clients.push(socket);
  const talking: Talk = { socket, heard: "", closed: false };
  socket.on("data", (bytes) => (talking.heard += bytes.toString()));
  socket.on("error", () => undefined);
  socket.on("close", () => (talking.closed = true));
  await once(socket, "connect");
  return talking;
}

test("passes everything on, both ways, and both ends", async () => {
  const one = await talk();
  one.socket.write("a".repeat(1_000_000));
  await until("all to come back", () => one.heard.length === 1_000_000);
  expect(edge.connections).toBe(1);
  one.socket.end();
  await until("the server to hear of the end", () => inside.size === 0);
  await until("the client to be closed", () => one.closed);
});

test("cut: what there is breaks, what is new breaks; healed, what is new passes", async () => {
  const one = await talk();
  one.socket.write("a");
  await until("it to be heard", () => one.heard === "a");
  edge.cut();
  await until("it to break", () => one.closed && inside.size === 0);
  const two = await talk();
  await until("the new one to break", () => two.closed);
  edge.heal();
  const three = await talk();
  three.socket.write("b");
  await until("it to be heard", () => three.heard === "b");
});

test("drop: what there is breaks, what is new passes", async () => {
  const one = await talk();
  edge.drop();
  await until("it to break", () => one.closed);
  const two = await talk();
  two.socket.write("b");
  await until("it to be heard", () => two.heard === "b");
});

test("silence of the server: it is told everything, nothing comes back and nothing is closed, until it is healed", async () => {
  const one = await talk();
  edge.silence("server");
  one.socket.write("a");
  await until("the server to be told", () => told === "a");
  expect(one).toMatchObject({ heard: "", closed: false });
  edge.heal();
  await until("it to come back", () => one.heard === "a");
});

test("silence of both: neither is heard nor told of an end; what is new is not answered", async () => {
  const [one, two] = [await talk(), await talk()];
  for (const each of [one, two]) each.socket.write("a");
  await until("both to be heard", () => one.heard === "a" && two.heard === "a");
  edge.silence();
  const three = await talk();
  one.socket.write("b");
  two.socket.destroy();
  three.socket.write("c");
  await until("the client's side to be closed", () => two.closed);
  expect([told, inside.size, one.closed, three.closed, three.heard]).toEqual(["aa", 2, false, false, ""]);
  edge.heal();
  await until("what was said to arrive", () => one.heard === "ab" && three.heard === "c");
  await until("the server to hear of the end", () => inside.size === 2);
});

test("delay and slow: later, and in order", async () => {
  const one = await talk();
  edge.delay(30);
  one.socket.write("a");
  edge.slow(100_000);
  await until("the first to have been taken", () => told.length > 0 || one.socket.bytesWritten === 1);
  const long = "bc".repeat(2_000);
  one.socket.write(long);
  edge.delay(0);
  one.socket.end("d");
  await until("all to have come back", () => one.heard === `a${long}d`);
  await until("the end to come last", () => one.closed);
});
