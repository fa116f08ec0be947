import { memoryBroker } from "../../broker/memory.ts";
import { wireLimits } from "../../schema/limits.ts";
import { brokerContract } from "../contract/broker.contract.ts";
import { overTcp, prefix, startBroker } from "./rig.ts";

brokerContract("in memory", async () => {
  const memory = memoryBroker({ dice: { below: () => 0 }, maxPayloadBytes: wireLimits.payloadBytes });
  return {
    prefix,
    manager: () => memory.connector("manager"),
    worker: (id) => memory.connector(id),
    cut: (clientId) => memory.control.cut(clientId),
    [Symbol.asyncDispose]: async () => memory.control.restart(),
  };
});

brokerContract("embedded, in process", async () => {
  const broker = await startBroker();
  return {
    prefix,
    manager: () => broker.connector(),
    worker: () => broker.connector(),
    cut: (clientId) => broker.kick(clientId),
    [Symbol.asyncDispose]: () => broker.close(),
  };
});

brokerContract("embedded, over TCP", async () => {
  const broker = await startBroker();
  return {
    prefix,
    manager: () => overTcp(broker, "manager"),
    worker: (id) => overTcp(broker, id),
    cut: (clientId) => broker.kick(clientId),
    [Symbol.asyncDispose]: () => broker.close(),
  };
});
