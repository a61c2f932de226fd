/** The figures as tables and a chart, for a terminal and for docs/performance.md. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import prettyBytes from 'pretty-bytes';
import { checkout } from '../test/machines/program.ts';
import type { FleetFigures } from './fleet.ts';
import type { ImportFigures } from './import.ts';
import type { MemoryFigures } from './memory.ts';
import type { MonthsFigures } from './months.ts';
import type { HostsFigures, NextFigures } from './next.ts';
import { hostsTable, nextTable } from './next-tables.ts';
import type { NoticeFigures } from './notice.ts';
import type { PackFigures } from './pack.ts';
import type { PoolFigures } from './pool.ts';
import type { RealSizeFigures } from './real-size.ts';
import type { ReleaseFigures } from './releases.ts';
import type { RestFigures } from './rest.ts';
import type { ScaleFigures } from './scale.ts';
import {
  fleetTable,
  importsTable,
  mebi,
  monthsTable,
  s,
  scaleTable,
  table,
  takingTable,
  times,
} from './tables.ts';

export interface Figures {
  readonly quick: boolean;
  readonly repeats: number;
  readonly pack: Omit<PackFigures, 'bundle' | 'classic' | 'toplevel'>;
  readonly imports: ImportFigures;
  readonly releases: readonly ReleaseFigures[];
  readonly next: NextFigures;
  readonly months: MonthsFigures | undefined;
  readonly hosts: HostsFigures;
  readonly scale: ScaleFigures;
  readonly fleet: FleetFigures;
  readonly realSize: RealSizeFigures;
  readonly memory: readonly MemoryFigures[];
  readonly pool: PoolFigures;
  readonly notice: NoticeFigures;
  readonly rest: RestFigures;
}

const shapes = {
  config: 'only configuration changed',
  library: '30 % of the paths have other hashes, few other bytes',
  rebuild: 'every hash changed, few other bytes',
  first: 'the first',
  week: '2 % of the paths are new',
} as const;

export function renderTables({
  repeats,
  pack,
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
}: Figures): string {
  const whole = releases[0]?.wholeBytes ?? Number.NaN;
  const growth = (memory.at(-1)?.peak ?? 0) - (memory[0]?.peak ?? 0);
  return [
    `A system of ${pack.paths} paths, ${prettyBytes(pack.closureBytes)}; medians of ${repeats}.\n`,
    table(
      ['Packing', 'nixmaker', 'classic', ''],
      [
        ['size', prettyBytes(pack.bundleBytes), prettyBytes(pack.classicBytes), ''],
        [
          'time',
          s(pack.build),
          s(pack.classicBuild),
          `${times(pack.classicBuild / pack.build)} faster (zstd alone, one stream: ${s(pack.zstdAlone)})`,
        ],
      ],
    ),
    nextTable(next),
    hostsTable(hosts),
    takingTable(imports),
    importsTable(imports, pack.paths),
    table(
      [
        '`build --since` the release before',
        'size',
        `of the whole (${prettyBytes(whole)})`,
        'deltas',
        'build',
        'taken',
        'agent’s peak',
      ],
      releases.map((r) => [
        shapes[r.shape],
        prettyBytes(r.bytes),
        `${((100 * r.bytes) / r.wholeBytes).toFixed(2)} %`,
        String(r.deltas),
        s(r.build),
        s(r.take),
        mebi(r.memory),
      ]),
    ),
    table(
      ['The agent’s peak memory', ''],
      [
        ...memory.map(({ bundleBytes, peak }) => [`a bundle of ${prettyBytes(bundleBytes)}`, mebi(peak)]),
        ['difference', mebi(growth)],
      ],
    ),
    table(
      ['The agent at rest, as installed', ''],
      [
        ['ready after', s(rest.ready)],
        ['resident; its own part', `${mebi(rest.resident)}; ${mebi(rest.own)}`],
        ['wakeups of its threads per minute', String(rest.wakeups)],
        ['`nixmaker --version`', s(rest.version)],
      ],
    ),
    table(
      ['Ten hosts that share 97 of 100 paths of 400 KiB, on one medium', ''],
      [
        [
          'pool of one, of ten',
          `${prettyBytes(pool.oneHostBytes)}, ${prettyBytes(pool.tenHostsBytes)}: ${times(pool.tenHostsBytes / pool.oneHostBytes)}`,
        ],
        ['ten bundles side by side', prettyBytes(pool.bundlesBytes)],
        ['`put` of all ten, flushed and read back', s(pool.put)],
        ['the ten bundles copied and flushed', s(pool.copy)],
        [
          'from mount(8) until the agent notices, in 20 tries',
          `median ${notice.median.toFixed(1)} ms, worst ${notice.worst.toFixed(1)} ms`,
        ],
      ],
    ),
    table(
      [
        `${realSize.paths} recipes, ${prettyBytes(realSize.bundleBytes)}, of that the index ${prettyBytes(realSize.indexBytes)}`,
        '',
      ],
      [
        ['`build`', s(realSize.build)],
        [
          '`nix copy --derivation` of the same into a binary cache folder',
          `${s(realSize.copy)}, ${times(realSize.copy / realSize.build)} as long`,
        ],
        ['`verify`', s(realSize.verify)],
        ['from the inbox until committed, of which the import', `${s(realSize.take)}, ${s(realSize.import)}`],
        ['the agent’s peak memory', mebi(realSize.peak)],
      ],
    ),
    scaleTable(scale),
    fleetTable(fleet),
    months === undefined ? '' : monthsTable(months),
  ].join('\n');
}

/** Bars of seconds; the same picture for those who read and those who look. */
export function renderChart({ pack, imports }: Figures): string {
  const bars = [
    ['build, nixmaker', pack.build, '#1f6feb'],
    ['build, classic', pack.classicBuild, '#8b949e'],
    ['import, nixmaker', imports.importOnly, '#1f6feb'],
    ['import, nix copy file://', imports.plain, '#8b949e'],
    ['import, classic', imports.classic, '#8b949e'],
  ] as const;
  const longest = Math.max(...bars.map(([, seconds]) => seconds));
  const width = 420;
  const text = bars.map(([name, seconds]) => `${name} ${seconds.toFixed(1)} s`).join(', ');
  const rows = bars.map(([name, seconds, colour], i) => {
    const y = 10 + i * 30;
    const length = Math.max(1, (width * seconds) / longest);
    return `<text x="170" y="${y + 15}" text-anchor="end">${name}</text><rect x="180" y="${y}" width="${length.toFixed(0)}" height="20" fill="${colour}"/><text x="${(186 + length).toFixed(0)}" y="${y + 15}">${seconds.toFixed(1)} s</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 165" font-family="sans-serif" font-size="13" role="img" aria-labelledby="t d">
<title id="t">Time to pack and to import a system of ${pack.paths} paths</title><desc id="d">${text}</desc>
<rect width="680" height="165" fill="#ffffff"/>
${rows.join('\n')}
</svg>
`;
}

const begin = '<!-- figures: begin; written by npm run bench -->';
const end = '<!-- figures: end -->';

export async function writeReport(figures: Figures): Promise<void> {
  const path = join(checkout, 'docs/performance.md');
  const text = await readFile(path, 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < 0) throw new Error(`${path} has no place for the figures`);
  const before = text.slice(0, from + begin.length);
  await writeFile(path, `${before}\n\n${renderTables(figures)}\n${text.slice(to)}`);
  await writeFile(join(checkout, 'docs/performance.svg'), renderChart(figures));
}
