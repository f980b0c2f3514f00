// Plays topics against a broker: run.js ADDR:PORT TOPIC... One line of JSON a check.
"use strict";

const path = require("node:path");
const { Desk } = require("./desk");

// Longer than every suite takes on a slow machine, shorter than the patience of the test runner.
const BOUND_MS = 200_000;

/** Every check of a topic, in the order of its file; one that fails does not keep the next from running. */
async function play(topic, desk) {
  const { checks, before } = require(path.join(__dirname, topic));
  const trouble = before ? await attempt(before, desk) : "";
  for (const { name, fact, run } of checks) {
    const detail = trouble || (await attempt(run, desk));
    console.log(JSON.stringify({ check: `${topic}.${name}`, fact, ok: detail === "", detail }));
  }
}

/** What went wrong, or nothing. */
async function attempt(run, desk) {
  try {
    await run(desk);
  } catch (error) {
    return shorten(error) || "an error without words";
  }
  return "";
}

/** What went wrong and where in our files. */
function shorten(error) {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return text
    .split("\n")
    .filter((line) => !/node_modules|node:|run\.js/.test(line))
    .slice(0, 8)
    .join("\n");
}

async function main() {
  const late = setTimeout(() => {
    console.error(`not done after ${BOUND_MS} ms`);
    process.exit(3);
  }, BOUND_MS);
  const [address, ...topics] = process.argv.slice(2);
  const desk = new Desk(address);
  await desk.market.pause();
  for (const topic of topics) await play(topic, desk);
  desk.close();
  clearTimeout(late);
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
