/**
 * npm run fuzz [-- SECONDS [SEED [TARGET…]]]: the search for inputs that a reader does not take as it should, guided by the branches
 * that inputs take, for a minute or as long as is asked for. What was found is written to test/fuzz/found/ and ends it with 1: once it
 * is mended, it goes into the corpus under a name that says what it was. What reached something new is in the corpus afterwards.
 */
import { readCorpus, writeCorpus, writeFinding } from './corpus.ts';
import { Explorer } from './explore.ts';

// After instrument.ts, which explore.ts loads: only sources that are loaded later have counters.
const { targets } = await import('./targets.ts');

const [seconds = '60', seed = String(Date.now() % 2 ** 32), ...only] = process.argv.slice(2);
const chosen = targets.filter(({ name }) => only.length === 0 || only.includes(name));
/** Milliseconds; each target has its turn several times, so that none is left out of a short run. */
const turn = 1000;

const say = (text: string) => process.stdout.write(`${text}\n`);

const explorers: Explorer[] = [];
for (const [i, target] of chosen.entries()) {
  const explorer = new Explorer(target, Number(seed) + i);
  await explorer.begin(await readCorpus(target.name));
  explorers.push(explorer);
}
const end = performance.now() + Number(seconds) * 1000;
while (performance.now() < end) {
  for (const explorer of explorers) {
    const left = end - performance.now();
    if (left > 0) await explorer.explore(Math.min(turn, left / explorers.length));
  }
  if (explorers.every(({ findings }) => findings.length > 0)) break;
}
let runs = 0;
for (const explorer of explorers) {
  const { target, findings, reached } = explorer;
  const kept = await explorer.minimised();
  await writeCorpus(target.name, kept);
  say(`${target.name.padEnd(20)} ${explorer.runs} inputs, ${reached} branches taken, ${kept.length} kept`);
  runs += explorer.runs;
  for (const { data, why } of findings) {
    process.exitCode = 1;
    say(`  ${await writeFinding(target.name, data)}: ${why}`);
  }
}
say(`${runs} inputs, random seed ${seed}${process.exitCode === 1 ? '' : ': nothing found'}`);
