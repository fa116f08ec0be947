import { describe, expect, test } from "vitest";
import { defaultEnvironment } from "../../../worker/process/environment.ts";
import { openRig } from "./kit.ts";

const printed = (text: string): Record<string, string> => JSON.parse(text) as Record<string, string>;
const print = ["-e", "process.stdout.write(JSON.stringify(process.env))"];

describe("the environment of a process", () => {
  test("is exactly what is documented: nothing of the agent's comes through", async () => {
    process.env["MUSTER_BROKER_PASSWORD"] = "hunter2";
    process.env["SOME_SECRET"] = "of the agent";
    await using rig = await openRig();
    const env = { PARAM_city: "Brno", MUSTER_RUN_ID: "r1", MUSTER_ATTEMPT: "1", TRACEPARENT: "00-1", OWN: "task" };
    const attempt = rig.launch(process.execPath, print, {
      env,
      launch: { program: process.execPath, args: print, files: [], env: { OWN: "driver", DRIVERS: "yes" } },
    });
    await rig.ended(attempt);
    const folder = rig.host.folderOf(attempt);
    expect(printed(rig.output(attempt).toString())).toEqual({
      ...defaultEnvironment(),
      DRIVERS: "yes",
      ...env,
      MUSTER_RESULT: `${folder}/result`,
      MUSTER_PROGRESS: `${folder}/progress`,
    });
    delete process.env["MUSTER_BROKER_PASSWORD"];
    delete process.env["SOME_SECRET"];
  });

  test("carries names that shells keep for themselves, and lets the task replace PATH, HOME, LANG and TZ", async () => {
    await using rig = await openRig();
    const env = {
      PATH: "/usr/bin:/bin",
      HOME: "/nowhere",
      LANG: "cs_CZ.ISO8859-2",
      TZ: "Asia/Tokyo",
      LC_ALL: "C",
      IFS: ":",
      OPTIND: "x",
      PPID: "no",
      UID: "no",
      EUID: "no",
      RANDOM: "no",
      SECONDS: "no",
      LINENO: "no",
      PWD: "/elsewhere",
      OLDPWD: "/old",
      SHLVL: "77",
      SHELLOPTS: "xtrace",
      BASH_ENV: "/nope",
      BASHOPTS: "x",
      ENV: "/nope",
      PS4: "!",
      _: "under",
      id: "i",
      code: "c",
      pid: "p",
      folder: "f",
      boot: "b",
      bell: "l",
      POSIXLY_CORRECT: "1",
    };
    const attempt = rig.launch(process.execPath, print, { env });
    await rig.ended(attempt);
    expect(printed(rig.output(attempt).toString())).toMatchObject(env);
  });

  test("refuses a name that no process can have", async () => {
    await using rig = await openRig();
    const attempt = rig.launch("true", [], { env: { "a-b; touch /tmp/x": "1" } });
    expect(await rig.notStarted(attempt)).toMatchObject({ how: "failedToStart", why: expect.stringContaining("a-b") });
  });
});
