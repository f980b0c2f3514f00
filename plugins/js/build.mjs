// Makes a component of a strategy: node build.mjs [--wit DIR] sma_cross.js sma_cross.wasm
//
// It gets nothing but sandpit:strategy/host: no WASI, so no clock, no chance and no output of its own.
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';

const USAGE = 'usage: node build.mjs [--wit DIR] STRATEGY.js OUTPUT.wasm';
const LEAST_NODE = 18;

function fail(sentence) {
  console.error(`error: ${sentence}`);
  process.exit(1);
}

if (Number(process.versions.node.split('.')[0]) < LEAST_NODE) {
  fail(`Node.js ${LEAST_NODE} or newer is needed, this is ${process.versions.node}: install a newer one`);
}
const { values, positionals } = parseArgs({ allowPositionals: true, options: { wit: { type: 'string' } } });
if (positionals.length !== 2) fail(USAGE);
const [source, output] = positionals.map((path) => resolve(path));
const here = dirname(new URL(import.meta.url).pathname);
const witPath = resolve(values.wit ?? join(here, '../../wit/strategy-0.1.0'));

const tools = await import('@bytecodealliance/componentize-js').catch((error) =>
  fail(`@bytecodealliance/componentize-js is not installed (${error.code ?? error.message}): run \`npm ci\` in ${here}`));

// The engine sees the folder of the strategy, and no other.
process.chdir(dirname(source));
const made = await tools.componentize({
  sourcePath: source,
  witPath,
  worldName: 'strategy',
  disableFeatures: ['stdio', 'random', 'clocks', 'http', 'fetch-event'],
}).catch((error) => fail(`${source} does not build: ${error.message}`));

// Beside its place, then renamed: a host that watches the folder never sees half a file.
const folder = await mkdtemp(join(dirname(output), '.build-'));
await writeFile(join(folder, 'whole'), made.component);
await rename(join(folder, 'whole'), output);
await rm(folder, { recursive: true });
