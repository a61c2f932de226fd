/** What a deletion that a power cut has undone in the database alone looks like on disk, whole or cut off. */
import assert from 'node:assert/strict';
import { chmod, mkdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type StorePath, storeDir, toBaseName } from '../../src/core/store-path.ts';
import type { NixContext } from '../../src/nix/command.ts';
import { readContents } from '../../src/nix/contents.ts';
import { findLost } from '../../src/nix/lost.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { storePathOf } from '../support/releases.ts';

const [whole, file, link, gone, torn, touched, writable] = [1, 2, 3, 4, 5, 6, 7].map((n) =>
  storePathOf(n),
) as StorePath[] as [StorePath, StorePath, StorePath, StorePath, StorePath, StorePath, StorePath];

test('what is gone and what is torn are lost; what only looks so is read, and is not', async (t) => {
  const root = await temporaryFolder(t);
  const folder = `${root}${storeDir}`;
  const place = (path: StorePath) => join(folder, toBaseName(path));
  for (const path of [whole, gone, torn, touched, writable]) {
    await mkdir(join(place(path), 'lib'), { recursive: true });
    await writeFile(join(place(path), 'lib/one'), 'one');
    await writeFile(join(place(path), 'two'), 'two');
    await chmod(place(path), 0o555);
    await utimes(place(path), 1, 1);
  }
  await writeFile(place(file), 'a file may have any time');
  await symlink('nowhere', place(link));
  const all = [whole, file, link, gone, torn, touched, writable];
  const infos = new Map<StorePath, { readonly narHash: string }>();
  for (const path of all) {
    const contents = await readContents(folder, path);
    infos.set(path, { narHash: contents.kind === 'read' ? contents.narHash : '' });
  }
  await chmod(place(gone), 0o755);
  await rm(place(gone), { recursive: true });
  await chmod(place(torn), 0o755);
  await rm(join(place(torn), 'lib/one'));
  await utimes(place(torn), 1, 1);
  await utimes(place(touched), 2, 2);
  await chmod(place(writable), 0o755);
  const read: StorePath[] = [];
  const look = (context: Partial<NixContext>) =>
    findLost(context as NixContext, all, {
      infosOf: async (open) => {
        read.push(...open);
        return infos;
      },
    });
  assert.deepEqual(
    await look({ store: root }),
    new Map([
      [gone, 'gone'],
      [torn, 'torn'],
    ]),
  );
  assert.deepEqual(read, [torn, touched, writable]);
  // Nobody knows where its files are.
  assert.deepEqual(await look({ store: `local?root=${root}` }), new Map());
});
