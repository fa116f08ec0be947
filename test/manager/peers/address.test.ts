import { expect, test } from "vitest";
import { announcedAddress } from "../../../manager/peers/address.ts";
import { holderText, parseHolder } from "../../../manager/peers/holder.ts";

test("a manager announces what it was told, else where it listens, else nothing", () => {
  const host = (): string => "10.0.0.7";
  const at = (address: string | null, httpHost: string, httpPort = 7_070): string | null =>
    announcedAddress({ address, httpHost, httpPort }, host);
  expect(at("https://m1.example:8443/", "0.0.0.0")).toBe("https://m1.example:8443");
  expect(at(null, "127.0.0.1")).toBe("http://127.0.0.1:7070");
  expect(at(null, "::1")).toBe("http://[::1]:7070");
  expect(at(null, "m1.example")).toBe("http://m1.example:7070");
  expect(at(null, "0.0.0.0")).toBe("http://10.0.0.7:7070");
  expect(at(null, "::")).toBe("http://10.0.0.7:7070");
  expect(announcedAddress({ address: null, httpHost: "0.0.0.0", httpPort: 7_070 }, () => undefined)).toBeNull();
  expect(at(null, "127.0.0.1", 0)).toBeNull();
});

test("the holder of a lease carries both, and a lease that was given back none", () => {
  for (const holder of [
    { name: "manager-x", address: "http://[::1]:7070" },
    { name: "manager-x", address: null },
  ])
    expect(parseHolder(holderText(holder))).toEqual(holder);
  expect(parseHolder("")).toBeNull();
});
