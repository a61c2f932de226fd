/**
 * npm run bench [-- --quick]: nixmaker’s figures, against the classic way and against Nix alone, side by side in one run.
 * Prints a table and writes bench/out/results.json; a full run also writes the figures and the chart of docs/performance.md.
 * Nothing here is a test: no figure fails anything.
 */
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeBuilder } from '../test/machines/builder.ts';
import { checkout } from '../test/machines/program.ts';
import { measureFleet } from './fleet.ts';
import { measureImport } from './import.ts';
import { measureMemory } from './memory.ts';
import { measureMonths } from './months.ts';
import { measureHosts, measureNext } from './next.ts';
import { measureNotice } from './notice.ts';
import { measurePack } from './pack.ts';
import { measurePool } from './pool.ts';
import { measureRealSize } from './real-size.ts';
import { measureReleases } from './releases.ts';
import { type Figures, renderTables, writeReport } from './report.ts';
import { measureRest } from './rest.ts';
import { measureScale } from './scale.ts';
import { must } from './system.ts';
import { removeFolder } from './target.ts';

const quick = process.argv.includes('--quick');
const count = quick ? 200 : 2500;
const repeats = quick ? 1 : 5;

const place = await mkdtemp(join(tmpdir(), 'nixmaker-bench-'));
try {
  const builder = await makeBuilder(join(place, 'builder'));
  must(await builder.nixmaker(['keygen', 'bench-1', '--out', place]));
  const key = {
    file: join(place, 'bench-1.secret'),
    publicKey: (await readFile(join(place, 'bench-1.public'), 'utf8')).trim(),
  };
  const say = (what: string) => process.stderr.write(`${what}…\n`);
  say('packing');
  const pack = await measurePack(place, { builder, key, count, repeats });
  say('the next release');
  const next = await measureNext(place, { builder, key, count: quick ? 1000 : count, repeats });
  say('importing');
  const smaller = quick ? [] : [200, 1000];
  const imports = await measureImport(place, { builder, pack, key, repeats, smaller });
  say('releases');
  const releases = await measureReleases(place, { builder, key, count });
  say('twelve months');
  const months = await measureMonths({ place, builder, key }, quick);
  say('ten hosts');
  const hosts = await measureHosts(place, { builder, key, count: quick ? 200 : 1000 });
  say('a thousand hosts');
  const scale = await measureScale(place, { builder, bundle: pack.bundle, hosts: 1000 });
  say('receipts');
  const fleet = await measureFleet(
    place,
    quick ? { hosts: 50, receipts: 20 } : { hosts: 1000, receipts: 100 },
  );
  say('recipes');
  const realSize = await measureRealSize(place, { builder, key, count: quick ? 1000 : 20_000 });
  say('memory');
  const memory = [];
  for (const mebibytes of quick ? [50, 300] : [50, 2048])
    memory.push(await measureMemory(place, { builder, key, mebibytes }));
  say('media');
  const pool = await measurePool(place, { builder, key });
  const notice = await measureNotice(place);
  say('rest');
  const rest = await measureRest(place, key);
  const { bundle: _bundle, classic: _classic, toplevel: _toplevel, ...packed } = pack;
  const figures: Figures = {
    quick,
    repeats,
    pack: packed,
    imports,
    releases,
    next,
    months,
    hosts,
    scale,
    fleet,
    realSize,
    memory,
    pool,
    notice,
    rest,
  };
  process.stdout.write(renderTables(figures));
  const out = join(checkout, 'bench', 'out');
  await mkdir(out, { recursive: true });
  await writeFile(join(out, 'results.json'), `${JSON.stringify({ schema: 2, ...figures }, null, 2)}\n`);
  if (!quick) await writeReport(figures);
} finally {
  await removeFolder(place);
}
