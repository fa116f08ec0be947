import { expect, test } from "vitest";
import { nearest } from "../../../schema/kit/config/nearest.ts";

test("nothing far is suggested", () => {
  expect(nearest("htttp", ["http", "https"])).toBe("http");
  expect(nearest("quite-another-thing", ["http", "https"])).toBeUndefined();
});
