/** A thousand hosts on one medium: what `inspect` takes to list them, and `put` to add one more. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withBundleFile } from '../src/bundle/file.ts';
import { readAnnouncements } from '../src/bundle/layout.ts';
import { authenticateBundle } from '../src/bundle/open.ts';
import { withoutVerifying } from '../src/desk/keys/read-release.ts';
import type { Builder } from '../test/machines/builder.ts';
import { must, seconds } from './system.ts';
import { removeFolder } from './target.ts';

export interface ScaleFigures {
  readonly hosts: number;
  readonly manifestBytes: number;
  readonly contentsBytes: number;
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
  const { manifestBytes, contents } = await withBundleFile(bundle, async (file) => {
    const authenticated = await authenticateBundle(file, withoutVerifying);
    const { release } = await readAnnouncements(file, authenticated);
    return { manifestBytes: authenticated.head.manifestBytes, contents: release.contentsBytes };
  });
  for (let i = 0; i < hosts; i++) {
    const folder = join(medium, 'nixmaker/hosts', `h${i}`, '1');
    await mkdir(folder, { recursive: true });
    const manifest = manifestBytes.toString().replace('"host":"host"', `"host":"h${i}"`);
    await writeFile(join(folder, 'manifest.json'), manifest);
    await writeFile(join(folder, 'manifest.sig'), '');
    await writeFile(join(folder, 'contents'), contents);
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
  return {
    hosts,
    manifestBytes: manifestBytes.length,
    contentsBytes: contents.length,
    inspect,
    put,
    putFirst,
  };
}
