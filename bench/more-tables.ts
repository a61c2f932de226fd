/** Tables of what is packed and taken, and of the agent itself. */
import prettyBytes from 'pretty-bytes';
import type { MemoryFigures } from './memory.ts';
import type { NoticeFigures } from './notice.ts';
import type { PackFigures } from './pack.ts';
import type { PoolFigures } from './pool.ts';
import type { RealSizeFigures } from './real-size.ts';
import type { ReleaseFigures } from './releases.ts';
import type { RestFigures } from './rest.ts';
import { mebi, s, table, times } from './tables.ts';

export const packTable = (pack: Omit<PackFigures, 'bundle' | 'classic' | 'toplevel'>): string =>
  table(
    [`Packing ${pack.paths} paths, ${prettyBytes(pack.closureBytes)}`, 'nixmaker', 'classic, once', ''],
    [
      ['size', prettyBytes(pack.bundleBytes), prettyBytes(pack.classicBytes), ''],
      [
        'time',
        s(pack.build),
        s(pack.classicBuild),
        `${times(pack.classicBuild / pack.build)} faster; the floor, zstd alone in one stream: ${s(pack.zstdAlone)}, ${times(pack.build / pack.zstdAlone)}`,
      ],
    ],
  );

const shapes = {
  config: 'only configuration changed',
  library: '30 % of the paths have other hashes, few other bytes',
  rebuild: 'every hash changed, few other bytes',
  first: 'the first',
  week: '2 % of the paths are new',
} as const;

export function releasesTable(releases: readonly ReleaseFigures[]): string {
  const whole = releases[0]?.wholeBytes ?? Number.NaN;
  return table(
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
  );
}

export const memoryTable = (memory: readonly MemoryFigures[]): string =>
  table(
    ['The agent’s peak memory', ''],
    [
      ...memory.map(({ bundleBytes, peak }) => [`a bundle of ${prettyBytes(bundleBytes)}`, mebi(peak)]),
      ['difference', mebi((memory.at(-1)?.peak ?? 0) - (memory[0]?.peak ?? 0))],
    ],
  );

export const restTable = (rest: RestFigures): string =>
  table(
    ['The agent at rest, as installed', ''],
    [
      ['ready after', s(rest.ready)],
      ['resident; its own part', `${mebi(rest.resident)}; ${mebi(rest.own)}`],
      ['wakeups of its threads per minute', String(rest.wakeups)],
      ['`nixmaker --version`', s(rest.version)],
    ],
  );

export const poolTable = (pool: PoolFigures): string =>
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
    ],
  );

export const noticeTable = (notice: NoticeFigures): string =>
  table(
    ['From mount(8) until the agent notices, in 20 tries', 'median', 'worst'],
    [['', `${notice.median.toFixed(1)} ms`, `${notice.worst.toFixed(1)} ms`]],
  );

export const realSizeTable = (realSize: RealSizeFigures): string =>
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
  );
