/**
 * npm run bench [-- --quick] [-- --only PART,…]: nixmaker’s figures, against the classic way and against Nix alone, side by side in one
 * run. Prints tables and writes bench/out/results.json; a whole run also writes the figures and the chart of docs/performance.md.
 * Nothing here is a test: no figure fails anything. A part that can’t be measured costs its own figures only.
 */
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeBuilder } from '../test/machines/builder.ts';
import { checkout } from '../test/machines/program.ts';
import { measurePack, type PackFigures } from './pack.ts';
import { type Bench, type Figures, type PartName, partNames, parts } from './parts.ts';
import { isWhole, renderTables, writeReport } from './report.ts';
import { must, processorSeconds, seconds } from './system.ts';
import { removeFolder } from './target.ts';

const { values: given } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const only = given.only?.split(',');
const unknown = only?.find((name) => !partNames.some((part) => part === name));
if (unknown !== undefined)
  throw new Error(`there is no part “${unknown}”; there are ${partNames.join(', ')}`);
const chosen = partNames.filter((name) => only === undefined || only.includes(name));
const say = (text: string) => process.stderr.write(`${text}\n`);

async function prepare(place: string): Promise<Bench> {
  const builder = await makeBuilder(join(place, 'builder'));
  must(await builder.nixmaker(['keygen', 'bench-1', '--out', place]));
  const key = {
    file: join(place, 'bench-1.secret'),
    publicKey: (await readFile(join(place, 'bench-1.public'), 'utf8')).trim(),
  };
  const common = { builder, key, count: given.quick ? 200 : 2500, repeats: given.quick ? 1 : 3 };
  let packed: Promise<PackFigures> | undefined;
  // Once, if its time is not what is wanted.
  const pack = () => measurePack(place, { ...common, repeats: chosen.includes('pack') ? common.repeats : 1 });
  return { place, ...common, isQuick: given.quick, packed: () => (packed ??= pack()) };
}

async function measure(bench: Bench): Promise<Figures> {
  const figures: Partial<Record<PartName, unknown>> = {};
  const took: Partial<Record<PartName, number>> = {};
  for (const name of chosen) {
    try {
      let time = Number.NaN;
      const processor = await processorSeconds(async () => {
        time = await seconds(async () => {
          figures[name] = await parts[name](bench);
        });
      });
      took[name] = time;
      say(`${name}: ${time.toFixed(0)} s; of the processor ${processor.toFixed(0)} s`);
    } catch (error) {
      say(`${name}: not measured: ${error instanceof Error ? error.stack : String(error)}`);
      process.exitCode = 1;
    }
  }
  return { ...figures, quick: given.quick, repeats: bench.repeats, took } as Figures;
}

const place = await mkdtemp(join(tmpdir(), 'nixmaker-bench-'));
try {
  const figures = await measure(await prepare(place));
  process.stdout.write(renderTables(figures));
  const out = join(checkout, 'bench', 'out');
  await mkdir(out, { recursive: true });
  await writeFile(join(out, 'results.json'), `${JSON.stringify({ schema: 3, ...figures }, null, 2)}\n`);
  if (!given.quick && isWhole(figures)) await writeReport(figures);
} finally {
  await removeFolder(place);
}
