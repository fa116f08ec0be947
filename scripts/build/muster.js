#!/usr/bin/env node
/**
 * The command of a release: `node muster.js manager`, `worker`, `broker`, … Plain JavaScript of the oldest kind, because an old
 * Node must still be able to read it and say which one is needed.
 */
const needs = [24, 15];
const parts = ["manager", "worker", "broker", "token", "worker:add", "mosquitto:users", "health"];
/** Commands of the one part that has several; they are given on to it. */
const commands = ["doctor", "restored", "backup"];

function fail(sentence) {
  process.stderr.write("muster: " + sentence + "\n");
  process.exit(1);
}

const have = process.versions.node.split(".").map(Number);
if (have[0] < needs[0] || (have[0] === needs[0] && have[1] < needs[1]))
  fail(
    "runs on Node " + needs.join(".") + " or newer; this is Node " + process.versions.node + ". See https://nodejs.org/download.",
  );

const name = process.argv[2] || "";
const ofCli = commands.indexOf(name) >= 0;
if (!ofCli && parts.indexOf(name) < 0)
  fail("knows no command " + JSON.stringify(name) + "; it knows " + parts.concat(commands).join(", ") + ".");

// What follows is the part's own, as if it had been started by itself.
const file = (ofCli ? "cli" : name.replace(":", "-")) + ".js";
process.argv.splice(1, ofCli ? 1 : 2, new URL(file, import.meta.url).pathname);
import("./" + file).catch((error) => {
  process.stderr.write("muster: " + (error && error.stack ? error.stack : String(error)) + "\n");
  process.exit(1);
});
