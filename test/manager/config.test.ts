import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { readManagerConfig } from "../../manager/config.ts";

test.each(["http://manager-1:7070/?pool=a", "https://manager-1#", "https://manager-1?"])(
  "an address to which paths are appended is refused with a query or a fragment: %s",
  (address) => {
    const said = `is "${address}"; it takes http://… or https://…, without user, password, query (?) or fragment (#) in it`;
    // Refused before a folder is made.
    for (const name of ["MUSTER_MANAGER_ADDRESS", "MUSTER_MANAGER_URL"])
      expect(() => readManagerConfig([], { [name]: address }, tmpdir())).toThrow(`${name} ${said}`);
  },
);
