/**
 * npm run fuzz [-- SECONDS [SEED]]: the fuzz target on mutations of the corpus, for a minute or as long as is asked for. What
 * it finds is written to test/fuzz/found/ and ends it with 1; put it into the corpus once it is mended.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mutate, randomFrom } from '../support/mutate.ts';
import { fuzz } from './target.ts';

const [seconds = '60', seed = String(Date.now() % 2 ** 32)] = process.argv.slice(2);
const here = import.meta.dirname;
const names = await readdir(join(here, 'corpus'));
const corpus = await Promise.all(names.map((name) => readFile(join(here, 'corpus', name))));
const random = randomFrom(Number(seed));
const end = performance.now() + Number(seconds) * 1000;
let runs = 0;
while (performance.now() < end) {
  const data = mutate(corpus[random(corpus.length)] ?? Buffer.alloc(0), random);
  runs += 1;
  try {
    await fuzz(data);
  } catch (error) {
    const folder = join(here, 'found');
    await mkdir(folder, { recursive: true });
    const path = join(folder, `seed-${seed}-run-${runs}`);
    await writeFile(path, data);
    process.stderr.write(`${path}: ${error instanceof Error ? error.stack : error}\n`);
    process.exit(1);
  }
}
process.stdout.write(`${runs} inputs from ${corpus.length} seeds, random seed ${seed}: nothing found\n`);
