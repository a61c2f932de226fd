/**
 * Real packages at twelve monthly points: the npm registry keeps every version, including platform binaries. npm itself fetches them
 * once into the user’s cache folder; the versions are those that were newest at each point (npm-points.json).
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
const few = new Set([
  '@esbuild/linux-x64',
  'zod',
  'prettier',
  'rxjs',
  'undici',
  'lightningcss-linux-x64-gnu',
]);

const cacheFolder = () =>
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'nixmaker', 'bench-npm');

/** @returns by point, what was newest then; undefined if the registry can’t be reached */
export async function packagesByMonth(
  isQuick: boolean,
): Promise<readonly (readonly PackageAtPoint[])[] | undefined> {
  const text = await readFile(join(checkout, 'bench/npm-points.json'), 'utf8');
  const { points, packages } = JSON.parse(text) as Points;
  const chosen = Object.entries(packages).filter(([name]) => !isQuick || few.has(name));
  const months: PackageAtPoint[][] = points.map(() => []);
  for (const [name, versions] of chosen)
    for (const [month, version] of versions.entries()) {
      const folder = await fetched(name, version);
      if (folder === undefined) return undefined;
      months[month]?.push({ name: name.replace(/^@/, '').replace('/', '-'), version, folder });
    }
  return months;
}

async function fetched(name: string, version: string): Promise<string | undefined> {
  const place = join(cacheFolder(), `${name.replace('/', '+')}@${version}`);
  if (await isThere(place)) return place;
  const draft = `${place}.part`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(join(draft, 'unpacked'), { recursive: true });
  const packed = await run('npm', ['pack', `${name}@${version}`, '--silent', '--pack-destination', draft]);
  if (packed.code !== 0) {
    process.stderr.write(`${name}@${version} can’t be fetched: ${packed.stderr}`);
    return undefined;
  }
  const [tarball = ''] = (await readdir(draft)).filter((file) => file.endsWith('.tgz'));
  const unpack = ['-xzf', join(draft, tarball), '-C', join(draft, 'unpacked'), '--strip-components=1'];
  must(await run('tar', unpack));
  await rename(join(draft, 'unpacked'), place);
  await rm(draft, { recursive: true });
  return place;
}
