#!/usr/bin/env node
/**
 * Starts a part of Muster on the pinned Node, whatever Node runs this file. Plain JavaScript of the oldest kind, because an
 * old Node must still be able to read it and say which one is needed.
 */
import { spawn } from "child_process";
import fs from "fs";
import path from "path";
import { fileURLToPath } from "url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** The oldest Node that brings Muster up, the oldest npm, and the oldest Node that runs Muster itself. */
const needs = { node: "20.19.0", npm: "10.0.0", runtime: "24.15.0" };

/**
 * What each command runs. A `lasting` one gets a process group of its own, so that a signal reaches it once. Those without
 * `about` are for work on Muster itself.
 */
const commands = {
  start: { run: ["scripts/start.ts"], lasting: true, about: "the whole system on this machine: manager, broker, a worker" },
  manager: {
    run: ["manager/main.ts"],
    lasting: true,
    about: "a manager: the HTTP API, the scheduler, and a broker unless MUSTER_BROKER_URL names one",
  },
  worker: { run: ["worker/main.ts"], lasting: true, about: "a worker: runs tasks on this host" },
  broker: { run: ["broker/main.ts"], lasting: true, about: "the MQTT broker alone" },
  token: { run: ["scripts/token.ts"], about: "makes a new admin token, and revokes the old one" },
  "worker:add": { run: ["scripts/worker-add.ts"], about: "makes a password for a worker, and the line with which it joins" },
  "mosquitto:users": { run: ["scripts/mosquitto-users.ts"], about: "writes the password file of Mosquitto" },
  health: { run: ["scripts/health.ts"], about: "says whether the part of this data folder is alive; exit code 0 or 1" },
  demo: { run: ["scripts/demo.ts"], about: "runs a few tasks and shows what happens" },
  doctor: { run: ["cli/main.ts", "doctor"], about: "checks a running system and a data folder, and says what to do" },
  restored: { run: ["cli/main.ts", "restored"], about: "marks a database that was put back, so that nothing runs twice" },
  backup: { run: ["cli/main.ts", "backup"], about: "copies a SQLite database while its manager runs" },
  simulate: { run: ["test/simulation/main.ts"] },
  chaos: { run: ["test/chaos/main.ts"] },
  check: { run: ["scripts/check.ts"] },
  generate: { run: ["scripts/generate.ts"] },
  format: { run: ["node_modules/oxfmt/bin/oxfmt"] },
  test: { run: ["node_modules/vitest/vitest.mjs", "run"] },
  bench: { run: ["bench/main.ts"] },
  build: { run: ["scripts/build.ts"] },
};

/**
 * Where Node keeps what it compiled: a start without stripping types again takes half the time and 25 MB less. Beside the
 * packages, and not in /tmp, because whoever can write there can have their code run by us; where nobody may write it is not used.
 */
const compileCache = path.join(root, "node_modules", ".cache", "muster");

/** True when the dotted version `have` is not older than `want`. */
function atLeast(have, want) {
  const a = have.split(".").map((part) => parseInt(part, 10) || 0);
  const b = want.split(".").map((part) => parseInt(part, 10) || 0);
  for (let i = 0; i < 3; i++) {
    if ((a[i] || 0) !== b[i]) return (a[i] || 0) > b[i];
  }
  return true;
}

function fail(sentence, code) {
  process.stderr.write("muster: " + sentence + "\n");
  process.exit(code || 1);
}

function help() {
  const names = Object.keys(commands);
  const lines = ["Usage: muster <command> [options], or npm run <command> -- [options]", ""];
  names.forEach((name) => {
    if (commands[name].about) lines.push("  " + (name + " ".repeat(17)).slice(0, 17) + commands[name].about);
  });
  const others = names.filter((name) => !commands[name].about);
  lines.push("", "For work on Muster itself: " + others.join(", ") + ".", "Most commands say more with --help.", "");
  return lines.join("\n");
}

/** The Nodes that may run Muster, best first. The `.bin` link is not used: npm 9 and 10 leave it out. */
function runtimes() {
  const system = process.platform === "win32" ? "win" : process.platform;
  const program = process.platform === "win32" ? "bin/node.exe" : "bin/node";
  const pinned = path.join(root, "node_modules", "node-" + system + "-" + process.arch, program);
  const found = fs.existsSync(pinned) ? [pinned] : [];
  if (atLeast(process.versions.node, needs.runtime)) found.push(process.execPath);
  return found;
}

function guard() {
  if (!atLeast(process.versions.node, needs.node)) {
    fail(
      "needs Node " +
        needs.node +
        " or newer to come up; this is " +
        process.versions.node +
        ". See https://nodejs.org/download.",
    );
  }
  // An npm script tells who runs it: "npm/10.9.2 node/v20.19.0 linux x64 …". Other package managers are not judged.
  const npm = /^npm\/(\d+\.\d+\.\d+)/.exec(process.env.npm_config_user_agent || "");
  if (npm && !atLeast(npm[1], needs.npm)) {
    fail("needs npm " + needs.npm + " or newer; this is " + npm[1] + ". Run: npm install --global npm@10");
  }
  if (!fs.existsSync(path.join(root, "node_modules"))) fail("its packages are not installed. Run: npm ci");
}

/** A signal that comes again within this time is the same one: a terminal sends it to the group, and npm passes it on as well. */
const sameSignalMs = 200;

function passSignals(child, lasting) {
  const lastAt = {};
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      // A child of the same group has had the terminal's own Ctrl-C.
      if (!lasting && signal === "SIGINT" && process.stdin.isTTY) return;
      const at = Date.now();
      if (lastAt[signal] !== undefined && at - lastAt[signal] < sameSignalMs) return;
      lastAt[signal] = at;
      child.kill(signal);
    });
  }
}

/**
 * Ends the child when whoever started us is gone. npm runs its scripts by `sh -c`; a signal to npm ends that shell, and not every
 * shell passes it on.
 */
function followStarter(child) {
  const starter = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === starter) return;
    clearInterval(timer);
    child.kill("SIGTERM");
  }, 250);
  timer.unref();
}

/** Runs the command under the first runtime that can be started, and ends as it ends. */
function launch(command, args, candidates) {
  const lasting = command.lasting === true;
  const followParent = lasting ? ["--import", new URL("./follow-parent.ts", import.meta.url).href] : [];
  const run = command.run.map((part, i) => (i === 0 ? path.join(root, part) : part));
  const child = spawn(candidates[0], followParent.concat(run, args), {
    env: Object.assign({ NODE_COMPILE_CACHE: compileCache }, process.env),
    stdio: lasting ? ["inherit", "inherit", "inherit", "ipc"] : "inherit",
    detached: lasting && process.platform !== "win32",
  });
  child.on("error", (error) => {
    // A pinned Node that is there and cannot run (Alpine has another C library) leaves the running one.
    if (candidates.length > 1) return launch(command, args, candidates.slice(1));
    fail("cannot start " + candidates[0] + ": " + error.message);
  });
  child.on("spawn", () => {
    passSignals(child, lasting);
    if (lasting) followStarter(child);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) return process.exit(code === null ? 1 : code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function main() {
  guard();
  const name = process.argv[2];
  const command = Object.prototype.hasOwnProperty.call(commands, name || "") ? commands[name] : undefined;
  if (name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(help());
    return;
  }
  if (name === undefined) {
    process.stderr.write(help());
    return process.exit(2);
  }
  if (command === undefined)
    fail("knows no command " + JSON.stringify(name) + "; it knows " + Object.keys(commands).join(", ") + ".", 2);
  const candidates = runtimes();
  if (candidates.length === 0) {
    fail(
      "runs on Node " +
        needs.runtime +
        " or newer, and npm ci brings it for Linux (x64, arm64) and Windows (x64). This is Node " +
        process.versions.node +
        " on " +
        process.platform +
        " " +
        process.arch +
        ": run npm ci again, or install a newer Node.",
    );
  }
  launch(command, process.argv.slice(3), candidates);
}

main();
