import { Edge } from "./edge.ts";

/** The edges of one system: each connection of the picture in docs/architecture.md goes through one of its own. */
export class Edges implements AsyncDisposable {
  /** By the manager's name. */
  readonly managerDatabase = new Map<string, Edge>();
  readonly managerBroker = new Map<string, Edge>();
  readonly clientManager = new Map<string, Edge>();
  /** By the worker's id. */
  readonly workerBroker = new Map<string, Edge>();

  async make(
    kind: "managerDatabase" | "managerBroker" | "clientManager" | "workerBroker",
    name: string,
    target: number,
  ): Promise<Edge> {
    const edge = await Edge.to(target);
    this[kind].set(name, edge);
    return edge;
  }

  /** All is well on all of them. */
  heal(): void {
    for (const edge of this.#all()) edge.heal();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const edge of this.#all()) await edge[Symbol.asyncDispose]();
  }

  #all(): Edge[] {
    return [this.managerDatabase, this.managerBroker, this.clientManager, this.workerBroker].flatMap((kind) => [
      ...kind.values(),
    ]);
  }
}
