/** A thousand hosts on one medium: what `inspect` takes to list them, and `put` to add one more. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Builder } from '../test/machines/builder.ts';
import { must, seconds } from './system.ts';
import { removeFolder } from './target.ts';

export interface ScaleFigures {
  readonly hosts: number;
  readonly manifestBytes: number;
  /** Seconds, of a warm cache. */
  readonly inspect: number;
  /** Seconds, for one bundle more, and for the same onto an empty medium. */
  readonly put: number;
  readonly putFirst: number;
}

/** @param bundle whose manifest each of the hosts has, under its own name */
export async function measureScale(
  place: string,
  { builder, bundle, hosts }: { builder: Builder; bundle: string; hosts: number },
): Promise<ScaleFigures> {
  const medium = join(place, 'thousand');
  const file = await readFile(bundle);
  const size = Number.parseInt(file.subarray(124, 136).toString(), 8);
  const manifest = file.subarray(512, 512 + size).toString('utf8');
  await mkdir(join(medium, 'nixmaker/cache/nar'), { recursive: true });
  for (let i = 0; i < hosts; i++) {
    const folder = join(medium, 'nixmaker/hosts', `h${i}`, '1');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'manifest.json'), manifest.replace('"host":"host"', `"host":"h${i}"`));
    await writeFile(join(folder, 'manifest.sig'), '');
    await writeFile(join(folder, 'meta'), '');
  }
  const inspect = await seconds(async () => {
    const listed = must(await builder.nixmaker(['inspect', '--json', medium]));
    const { bundles } = JSON.parse(listed.stdout) as { bundles: { problem?: string }[] };
    if (bundles.length !== hosts || bundles.some((b) => b.problem !== undefined))
      throw new Error(`it listed ${bundles.length}, ${JSON.stringify(bundles[0])}`);
  });
  const empty = join(place, 'empty');
  await mkdir(empty);
  const putOnto = (folder: string) =>
    seconds(async () => must(await builder.nixmaker(['put', folder, bundle])));
  const putFirst = await putOnto(empty);
  const put = await putOnto(medium);
  for (const folder of [medium, empty]) await removeFolder(folder);
  return { hosts, manifestBytes: size, inspect, put, putFirst };
}
