/** Which files of a boot partition are a system’s. */
import assert from 'node:assert/strict';
import { mkdir, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { filesOf, listBootFiles } from '../../src/activation/boot-files.ts';
import type { StorePath } from '../../src/core/store-path.ts';
import { temporaryFolder } from '../support/bundles.ts';

const hash = (letter: string) => letter.repeat(32);

async function scene(t: TestContext) {
  const root = await temporaryFolder(t);
  const [store, bootDirectory] = [join(root, 'store'), join(root, 'boot')];
  const file = async (name: string, bytes = 5000) => {
    await mkdir(join(store, name, '..'), { recursive: true });
    await writeFile(join(store, name), Buffer.alloc(bytes, 1));
    return join(store, name);
  };
  return {
    ...{ store, bootDirectory, file },
    system: async (name: string, parts: Readonly<Record<string, string>>) => {
      const system = join(store, name);
      await mkdir(system, { recursive: true });
      for (const [part, to] of Object.entries(parts)) await symlink(to, join(system, part));
      return system as StorePath;
    },
    copy: async (...names: readonly string[]) => {
      for (const name of names) {
        await mkdir(join(bootDirectory, name, '..'), { recursive: true });
        await writeFile(join(bootDirectory, name), Buffer.alloc(5000, 2));
      }
    },
  };
}

test('kernel and initrd of a system and of its specialisations, with what they take on the disk', async (t) => {
  const { store, bootDirectory, file, system, copy } = await scene(t);
  const kernel = await file(`${hash('a')}-linux-6.1/bzImage`);
  const initrd = await file(`${hash('b')}-initrd/initrd`);
  const other = await file(`${hash('c')}-linux-6.2/deep/bzImage`);
  const variant = await system(`${hash('d')}-variant`, { kernel: other, initrd });
  const plain = await system(`${hash('f')}-system`, { kernel, initrd });
  await mkdir(join(plain, 'specialisation'));
  await symlink(variant, join(plain, 'specialisation', 'quiet'));
  const names = [
    `${hash('a')}-linux-6.1-bzImage.efi`,
    `${hash('b')}-initrd-initrd.efi`,
    `${hash('c')}-linux-6.2-bzImage.efi`,
  ];
  await copy(...names.map((name) => `EFI/nixos/${name}`), `EFI/nixos/${hash('g')}-linux-5-bzImage.efi`);
  const files = await listBootFiles(bootDirectory);
  assert.equal(files.size, 4);
  const own = await filesOf(files, plain, store);
  assert.deepEqual([...own.keys()].map((path) => basename(path)).sort(), names);
  for (const [path, bytes] of own) assert.equal(bytes, (await stat(path)).blocks * 512);
  assert.deepEqual(
    [...(await filesOf(files, variant, store)).keys()].map((path) => basename(path)).sort(),
    names.slice(1),
  );
});

test('where nothing was copied, or the system has no such parts, there are none', async (t) => {
  const { store, bootDirectory, system, copy } = await scene(t);
  assert.equal((await listBootFiles(bootDirectory)).size, 0);
  await copy(`kernels/${hash('a')}-linux-bzImage`);
  const bare = await system(`${hash('f')}-system`, { kernel: join(store, 'nowhere') });
  assert.equal((await filesOf(await listBootFiles(bootDirectory), bare, store)).size, 0);
});
