/** The figures as tables and a chart, for a terminal and for docs/performance.md. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import prettyBytes from 'pretty-bytes';
import { checkout } from '../test/machines/program.ts';
import type { ImportFigures } from './import.ts';
import type { MemoryFigures } from './memory.ts';
import { type Jump, type MonthsFigures, shareOf } from './months.ts';
import type { NoticeFigures } from './notice.ts';
import type { HostsFigures, NextFigures, PackFigures } from './pack.ts';
import type { PoolFigures } from './pool.ts';
import type { RealSizeFigures } from './real-size.ts';
import type { ReleaseFigures } from './releases.ts';
import type { RestFigures } from './rest.ts';
import type { ScaleFigures } from './scale.ts';

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
  readonly realSize: RealSizeFigures;
  readonly memory: readonly MemoryFigures[];
  readonly pool: PoolFigures;
  readonly notice: NoticeFigures;
  readonly rest: RestFigures;
}

const s = (seconds: number) => `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
const mebi = (bytes: number) => prettyBytes(bytes, { binary: true });
const times = (ratio: number) => `${ratio.toFixed(2)} times`;

const shapes = {
  config: 'only configuration changed',
  library: '30 % of the paths have other hashes, few other bytes',
  rebuild: 'every hash changed, few other bytes',
  first: 'the first',
  week: '2 % of the paths are new',
} as const;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('');
}

export function renderTables({
  repeats,
  pack,
  imports,
  releases,
  next,
  months,
  hosts,
  scale,
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
        [
          'the next release, 2 % of whose paths are new; the first, and the next with `--no-cache`',
          `${s(next.next)}; ${s(next.first)}, ${s(next.anew)}`,
          '',
          `${times(next.first / next.next)} faster (its bundle copied and flushed: ${s(next.copied)})`,
        ],
        [
          `${hosts.hosts} hosts that share nine paths in ten, against one: \`build\`, which writes as many bundles`,
          `${s(hosts.all)}, ${s(hosts.one)}`,
          '',
          `${times(hosts.all / hosts.one)} (the bundles copied and flushed: ${s(hosts.copied)})`,
        ],
        [
          'the same by `put --flake`, which writes none',
          `${s(hosts.putAll)}, ${s(hosts.putOne)}`,
          '',
          times(hosts.putAll / hosts.putOne),
        ],
      ],
    ),
    takingTable(imports),
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
        ['more for the larger', mebi(growth)],
      ],
    ),
    table(
      ['The agent at rest, as installed', ''],
      [
        ['ready after', s(rest.ready)],
        ['resident; of that its own', `${mebi(rest.resident)}; ${mebi(rest.own)}`],
        ['times that a thread of it ran, in a minute', String(rest.wakeups)],
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
          'from mount(8) until the agent knows of it, in 20 tries',
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
        ['from the inbox until committed, of that the import', `${s(realSize.take)}, ${s(realSize.import)}`],
        ['the agent’s peak memory', mebi(realSize.peak)],
      ],
    ),
    scaleTable(scale),
    months === undefined ? '' : monthsTable(months),
  ].join('\n');
}

const jumpNames: Readonly<Record<Jump['kind'], string>> = {
  month: 'from month to month, mean',
  quarter: 'from quarter to quarter, mean',
  year: 'from the first to the last',
};

function monthsTable({ packages, bytes, jumps, taken, several }: MonthsFigures): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const kinds = [...new Set(jumps.map(({ kind }) => kind))];
  const rows = kinds.map((kind) => {
    const all = jumps.filter((j) => j.kind === kind);
    const worst = Math.max(...all.map((j) => j.ours / j.whole));
    const build = all.reduce((sum, j) => sum + j.build, 0) / all.length;
    const took = taken.find((t) => t.kind === kind);
    return [
      `${jumpNames[kind]} (${all.length})`,
      `${percent(shareOf(jumps, kind, 'ours'))}; ${percent(worst)}`,
      percent(shareOf(jumps, kind, 'files')),
      percent(shareOf(jumps, kind, 'chunks')),
      s(build),
      took === undefined ? '' : `${s(took.take)} (whole: ${s(took.takeWhole)}); ${mebi(took.memory)}`,
    ];
  });
  const any = `one bundle for hosts of any of the three months before`;
  return table(
    [
      `${packages} real packages, all rebuilt each month, whole ${prettyBytes(bytes)}: carried, of the whole`,
      'nixmaker; the worst',
      'files that are new',
      'chunks that are new',
      'build, processor',
      'taken; the agent’s peak',
    ],
    [...rows, [any, percent(several.ours / several.whole), '', '', '', '']],
  );
}

function takingTable(imports: ImportFigures): string {
  const { processor, floor } = imports;
  const ofFloor = (time: number) => times(time / floor);
  const ofProcessor = (time: number) => `${s(time)}, ${times(time / processor.floor)}`;
  return table(
    ['Taking', 'time', 'of the floor', 'processor time of client and daemon, of the floor’s'],
    [
      [
        'the floor: the same pieces through `zstd -d` and `sha256sum`, the same paths through `cp -a`, and a flush',
        s(floor),
        '1',
        `${s(processor.floor)}, 1`,
      ],
      [
        'from the inbox until committed: all checked, imported, flushed, switched',
        s(imports.take),
        ofFloor(imports.take),
        ofProcessor(processor.take),
      ],
      ['of that the import', s(imports.importOnly), ofFloor(imports.importOnly), ''],
      ['the same with `fsync-store-paths`', s(imports.importDurable), ofFloor(imports.importDurable), ''],
      [
        `\`nix copy\` from a plain \`file://\` folder of the same NARs, flushed (the import takes ${times(imports.importOnly / imports.plain)} as long)`,
        s(imports.plain),
        ofFloor(imports.plain),
        ofProcessor(processor.plain),
      ],
      [
        `classic: \`tar -xzf\`, \`nix copy\` from the folder, flushed (the import is ${times(imports.classic / imports.importOnly)} faster)`,
        s(imports.classic),
        ofFloor(imports.classic),
        '',
      ],
      ['until a bundle whose signature is spoiled is refused', s(imports.refuse), '', ''],
    ],
  );
}

const scaleTable = (scale: ScaleFigures) =>
  table(
    [
      `${scale.hosts} hosts on one medium, with manifests of ${prettyBytes(scale.manifestBytes)} and contents of ${prettyBytes(scale.contentsBytes)}`,
      'time',
      'memory at most',
      'the floor, in the same run',
    ],
    [
      ['`inspect`', s(scale.inspect), `${scale.inspectMemory.toFixed(0)} MiB`, ''],
      [
        '`put` of one host more, whose paths the others have',
        s(scale.put),
        `${scale.putMemory.toFixed(0)} MiB`,
        `its pieces read from the disk and hashed: ${s(scale.read)}, ${times(scale.put / scale.read)}`,
      ],
      [
        '`put` of the same onto an empty medium',
        s(scale.putFirst),
        '',
        `the bundle copied, flushed, read from the disk and hashed: ${s(scale.copied)}, ${times(scale.putFirst / scale.copied)}`,
      ],
      [
        '`put --clear`: what none of them needs is looked for',
        s(scale.clear),
        `${scale.clearMemory.toFixed(0)} MiB`,
        '',
      ],
    ],
  );

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
