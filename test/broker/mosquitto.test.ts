/** The contract on a real Mosquitto, with the password file that is made from our credentials. Needs `mosquitto` on PATH. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import type { Connector } from "../../broker/broker.ts";
import { addClient, mosquittoPasswd } from "../../broker/credentials.ts";
import { mqttConnector } from "../../broker/mqtt.ts";
import { brokerContract, type BrokerUnderTest } from "../contract/broker.contract.ts";
import { until } from "../kit/until.ts";

const version = spawnSync("mosquitto", ["-h"], { encoding: "utf8" });
brokerContract("Mosquitto", startMosquitto, version.error ? "mosquitto is not installed here" : undefined);

async function startMosquitto(): Promise<BrokerUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), "muster-mosquitto-"));
  const credentials = join(folder, "credentials.json");
  const passwords = new Map<string, string>();
  passwords.set("manager", addClient(credentials, { username: "manager", pool: "default", role: "manager" }));
  for (const username of ["edge-a", "edge-b", "edge-c"])
    passwords.set(username, addClient(credentials, { username, pool: "default", role: "worker" }));
  writeFileSync(join(folder, "passwd"), mosquittoPasswd(credentials), { mode: 0o600 });
  writeFileSync(
    join(folder, "acl"),
    "user manager\ntopic readwrite t/v1/#\npattern write t/v1/default/%u/up/#\npattern read t/v1/default/%u/down/#\n",
    { mode: 0o600 },
  );
  const port = await freePort();
  writeFileSync(
    join(folder, "conf"),
    [
      `listener ${port} 127.0.0.1`,
      "allow_anonymous false",
      `password_file ${folder}/passwd`,
      `acl_file ${folder}/acl`,
      "set_tcp_nodelay true",
      `user ${userInfo().username}`,
      "",
    ].join("\n"),
  );
  const child = spawn("mosquitto", ["-c", join(folder, "conf")], { stdio: "ignore" });
  await until("mosquitto listens", () => answers(port));
  const wires = new Map<string, Wire>();
  const connector = (username: string): Connector => ({
    async connect(options, signal) {
      const wire = await makeWire(port);
      wires.set(options.clientId, wire);
      return await mqttConnector({
        url: `mqtt://127.0.0.1:${wire.port}`,
        username,
        password: passwords.get(username) ?? "",
      }).connect(options, signal);
    },
  });
  return {
    prefix: "t",
    manager: () => connector("manager"),
    worker: connector,
    cut: (clientId) => wires.get(clientId)?.cut(),
    async [Symbol.asyncDispose]() {
      for (const wire of wires.values()) wire.cut();
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

interface Wire {
  readonly port: number;
  cut(): void;
}

/** A wire to the broker that can be cut in the middle. */
async function makeWire(to: number): Promise<Wire> {
  const sockets: Socket[] = [];
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: "127.0.0.1", port: to, noDelay: true });
    near.pipe(far).pipe(near);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.push(socket);
      socket.on("error", () => socket.destroy());
      // What it has been given already still arrives, a goodbye for one.
      socket.on("close", () => other.end());
    }
  });
  const cut = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, cut };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
