import { format } from "mysql2";
import type { Change } from "../../control/changes.ts";
import { statementsOf, type DialectTexts } from "../changes-sql.ts";
import type { Codecs } from "../codecs.ts";
import { withEventRows, type StoredChange } from "../event-rows.ts";
import { labelText } from "../rows.ts";
import { Grouping, type Group } from "./groups.ts";
import { literal, numberLiteral, rowText, type RowText } from "./literals.ts";

const texts: DialectTexts = { deleteKeys: "DELETE FROM `idempotency_keys` WHERE `at` < ? ORDER BY `at` LIMIT ?" };
const runLabelHead = "INSERT INTO `run_labels` (`label`, `created_at`, `run_order`, `pool`, `run_id`) VALUES ";
const byId = ["`id`"];
const byJournal = ["`worker_id`", "`journal`"];

type RowOf<K extends keyof Codecs> = Parameters<Codecs[K]["encode"]>[0];

/** The statements of a batch's changes, grouped. Made once for a store. */
export class Grouper {
  readonly #codecs: Codecs;
  readonly #version: RowText<RowOf<"version">>;
  readonly #run: RowText<RowOf<"run">>;
  readonly #attempt: RowText<RowOf<"attempt">>;
  readonly #worker: RowText<RowOf<"worker">>;
  readonly #journal: RowText<RowOf<"journal">>;
  readonly #event: RowText<RowOf<"event">>;
  readonly #key: RowText<RowOf<"key">>;

  constructor(codecs: Codecs) {
    this.#codecs = codecs;
    this.#version = rowText(codecs.version);
    this.#run = rowText(codecs.run);
    this.#attempt = rowText(codecs.attempt);
    this.#worker = rowText(codecs.worker);
    this.#journal = rowText(codecs.journal);
    this.#event = rowText(codecs.event);
    this.#key = rowText(codecs.key);
  }

  /** Throws a permanent `StoreError` for a value that no column can hold. */
  groups(changes: readonly Change[]): readonly Group[] {
    const grouping = new Grouping();
    for (const change of withEventRows(changes)) this.#add(grouping, change);
    return grouping.groups;
  }

  #add(grouping: Grouping, change: StoredChange): void {
    switch (change.op) {
      case "insertRun":
        return this.#insertRun(grouping, change.row);
      case "insertAttempt":
        return grouping.insert(this.#attempt, change.row, `attempt ${change.row.id}`);
      case "insertEventRow":
        return grouping.insert(this.#event, change.row);
      case "insertKey":
        return grouping.insert(this.#key, change.row);
      case "insertVersion":
        return grouping.insert(this.#version, change.row);
      case "insertJournal":
        return grouping.insert(this.#journal, change.row, journalName(change.row));
      case "updateRun":
        return grouping.update(this.#run, byId, [literal(change.id)], change.set, `run ${change.id}`);
      case "updateAttempt":
        return grouping.update(this.#attempt, byId, [literal(change.id)], change.set, `attempt ${change.id}`);
      case "updateJournal": {
        const key = [literal(change.workerId), literal(change.journal)];
        return grouping.update(this.#journal, byJournal, key, { applied: change.applied }, journalName(change));
      }
      case "updateWorker":
        if (change.set.ownLabels !== undefined || change.set.apiLabels !== undefined)
          return this.#lone(grouping, change, `worker ${change.id}`);
        return grouping.update(this.#worker, byId, [literal(change.id)], change.set, `worker ${change.id}`);
      case "insertWorker":
        return this.#lone(grouping, change, `worker ${change.row.id}`);
      case "deleteKeys":
        // What is inserted afterwards must not be among what is deleted.
        grouping.close(this.#key);
        return this.#lone(grouping, change);
      case "insertTask":
      case "updateTask":
      case "insertSetAside":
      case "insertHold":
      case "updateHold":
      case "deleteHold":
        return this.#lone(grouping, change);
    }
  }

  #insertRun(grouping: Grouping, row: RowOf<"run">): void {
    const { id, pool, order, createdAt, labels } = row;
    grouping.insert(this.#run, row, `run ${id}`);
    for (const [key, value] of Object.entries(labels)) {
      const place = `${numberLiteral(createdAt)},${numberLiteral(order)},${literal(pool)},${literal(id)}`;
      grouping.insertText(runLabelHead, `(${literal(labelText(key, value))},${place})`);
    }
  }

  /** The statements as they are in every dialect, where they come. */
  #lone(grouping: Grouping, change: StoredChange, row?: string): void {
    for (const { text, values, must } of statementsOf(change, this.#codecs, texts))
      grouping.lone(format(text, [...values]), must, row);
  }
}

function journalName({ workerId, journal }: { readonly workerId: string; readonly journal: string }): string {
  return `journal ${journal} of worker ${workerId}`;
}
