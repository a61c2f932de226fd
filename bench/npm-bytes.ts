/**
 * Real packages at twelve monthly points: the npm registry keeps every version, including platform binaries. npm itself fetches them
 * into the user’s cache folder, where they stay only for as long as a whole run takes; the versions are those that were newest at each
 * point (npm-points.json).
 */
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isThere } from '../src/files/read.ts';
import { checkout, run } from '../test/machines/program.ts';
import { must } from './system.ts';

interface Points {
  readonly points: readonly string[];
  /** By name, the version at each point. */
  readonly packages: Readonly<Record<string, readonly string[]>>;
}

export interface PackageAtPoint {
  /** In the form used in a store path’s name. */
  readonly name: string;
  readonly version: string;
  /** What npm unpacks. */
  readonly folder: string;
}

/** Small ones, for a quick run. */
const few = new Set(['zod', 'undici', 'lightningcss-linux-x64-gnu']);

/**
 * What a whole run has besides. The list has more and larger ones (Biome, TypeScript, three): with all of them it comes to 3 GB of packages
 * and as much again in bundles, and did not end within an hour.
 */
const more = new Set([
  '@esbuild/linux-x64',
  'prettier',
  'rxjs',
  '@rollup/rollup-linux-x64-gnu',
  'webpack',
  'react-dom',
  'eslint',
  'vue',
  'vite',
]);

const cacheFolder = () =>
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'nixmaker', 'bench-npm');

/** @returns by point, what was newest then; undefined if the registry can’t be reached */
export async function packagesByMonth(
  isQuick: boolean,
): Promise<readonly (readonly PackageAtPoint[])[] | undefined> {
  const text = await readFile(join(checkout, 'bench/npm-points.json'), 'utf8');
  const { points, packages } = JSON.parse(text) as Points;
  const chosen = Object.entries(packages).filter(([name]) => few.has(name) || (!isQuick && more.has(name)));
  const months: PackageAtPoint[][] = points.map(() => []);
  for (const [name, versions] of chosen) {
    if (!(await fetchAll(name, new Set(isQuick ? versions.slice(-4) : versions)))) return undefined;
    for (const [month, version] of versions.entries())
      months[month]?.push({
        name: name.replace(/^@/, '').replace('/', '-'),
        version,
        folder: placeOf(name, version),
      });
  }
  return isQuick ? months.slice(-4) : months;
}

/** After a whole run: a gigabyte that nobody needs again. */
export const forgetPackages = () => rm(cacheFolder(), { recursive: true, force: true });

const placeOf = (name: string, version: string) =>
  join(cacheFolder(), `${name.replace('/', '+')}@${version}`);

/** With one npm for all versions: starting it takes longer than fetching. */
async function fetchAll(name: string, versions: ReadonlySet<string>): Promise<boolean> {
  const missing: string[] = [];
  for (const version of versions) if (!(await isThere(placeOf(name, version)))) missing.push(version);
  if (missing.length === 0) return true;
  const draft = join(cacheFolder(), `${name.replace('/', '+')}.part`);
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  const specs = missing.map((version) => `${name}@${version}`);
  const packed = await run('npm', ['pack', ...specs, '--silent', '--pack-destination', draft]);
  if (packed.code !== 0) {
    process.stderr.write(`${name} can’t be fetched: ${packed.stderr}`);
    return false;
  }
  const tarballs = await readdir(draft);
  for (const version of missing) {
    const tarball = tarballs.find((file) => file.endsWith(`-${version}.tgz`)) ?? '';
    const unpacked = join(draft, version);
    await mkdir(unpacked);
    must(await run('tar', ['-xzf', join(draft, tarball), '-C', unpacked, '--strip-components=1']));
    await rename(unpacked, placeOf(name, version));
  }
  await rm(draft, { recursive: true });
  return true;
}
