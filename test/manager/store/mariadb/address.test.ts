import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { readManagerConfig } from "../../../../manager/config.ts";
import { parseMariadbUrl, plainMariadb, tlsOptions } from "../../../../manager/store/mariadb/address.ts";

describe("the URL of a MariaDB", () => {
  test("gives host, port, account, database and the files of TLS; what is shown has no password", () => {
    expect(parseMariadbUrl("mysql://ann:p%40ss%2F@db.example:3307/muster?tlsCa=/etc/ca.pem&tlsCert=c.pem&tlsKey=k.pem")).toEqual({
      host: "db.example",
      port: 3307,
      user: "ann",
      password: "p@ss/",
      database: "muster",
      shown: "mysql://ann@db.example:3307/muster",
      tls: { ca: "/etc/ca.pem", cert: "c.pem", key: "k.pem" },
    });
    expect(parseMariadbUrl("mariadb://ann@[::1]/muster")).toMatchObject({ host: "::1", port: 3306, password: "", tls: null });
  });

  test.each([
    ["mysql://ann:secret@h/m?ssl=true", /parameter "ssl", which is not known; there are tlsCa, tlsCert, tlsKey/],
    ["mysql://ann:secret@h/m?tlsCa=a&tlsCa=b", /tlsCa more than once/],
    ["mysql://ann:secret@h/m?tlsCa=", /tlsCa without a file/],
    ["mysql://ann:secret@h/m?tlsCa=a&tlsKey=b", /both or not at all/],
    ["mysql://ann:secret@h/m?tlsCert=a&tlsKey=b", /without tlsCa/],
    ["mysql://ann:secret@h/", /names no database/],
    ["mysql://ann:secret@h/a/b", /names no database/],
    ["mysql://:secret@h/m", /names no user/],
    ["mysql://ann:secret#x@h/m", /MUSTER_DATABASE_URL/],
    ["mysql://ann:sec%ret@h/m", /% in its password/],
    ["postgres://ann:secret@h/m", /not of the form/],
  ])("%s is refused with a sentence that keeps the password", (url, sentence) => {
    expect(() => parseMariadbUrl(url)).toThrow(sentence);
    expect(() => parseMariadbUrl(url)).not.toThrow(/sec/);
  });

  test("a file of TLS that cannot be used is named", () => {
    expect(() => tlsOptions(parseMariadbUrl("mysql://a@h/m?tlsCa=/nowhere.pem"))).toThrow(/tlsCa that cannot be read: ENOENT/);
    expect(() => tlsOptions(parseMariadbUrl(`mysql://a@h/m?tlsCa=${import.meta.filename}`))).toThrow(/not PEM/);
  });
});

describe("a MariaDB in a manager's configuration", () => {
  const configured = (env: Record<string, string>): unknown => {
    const folder = mkdtempSync(join(tmpdir(), "muster-config-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    return readManagerConfig([], { MUSTER_DATA_DIR: folder, ...env }, folder);
  };

  test("without TLS it is worth a warning beyond this host alone", () => {
    expect(plainMariadb("mysql://a:b@db.example/m")).toBe("db.example:3306");
    expect(plainMariadb("mysql://a:b@[2001:db8::1]:3307/m")).toBe("[2001:db8::1]:3307");
    for (const url of [
      "mysql://a@127.0.0.1/m",
      "mysql://a@[::1]/m",
      "mariadb://a@localhost/m",
      "mysql://a@db.example/m?tlsCa=x",
      "memory:",
    ])
      expect(plainMariadb(url), url).toBeUndefined();
  });

  test("production refuses it without TLS beyond this host", () => {
    const url = "mysql://ann:secret@db.example/m";
    expect(configured({ MUSTER_DATABASE_URL: url })).toMatchObject({ databaseUrl: url });
    const refused = () => configured({ MUSTER_DATABASE_URL: url, MUSTER_PRODUCTION: "yes" });
    expect(refused).toThrow(/MUSTER_PRODUCTION refuses a database .* MUSTER_DATABASE_URL names db\.example:3306/);
    expect(refused).not.toThrow(/secret/);
    expect(configured({ MUSTER_DATABASE_URL: `${url}?tlsCa=ca.pem`, MUSTER_PRODUCTION: "yes" })).toMatchObject({
      production: true,
    });
  });

  test("a URL that is wrong stops the start with a sentence", () => {
    expect(() => configured({ MUSTER_DATABASE_URL: "mysql://ann:secret@h/m?ssl=1" })).toThrow(
      /parameter "ssl", which is not known/,
    );
    expect(() => configured({ MUSTER_DATABASE_URL: "mysql://ann:secret@h/m?ssl=1" })).not.toThrow(/secret/);
  });
});
