/** Room in a boot partition of its own, with kernels in a store of their own. */
import assert from 'node:assert/strict';
import { mkdir, readdir, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { StorePath } from '../../../src/core/store-path.ts';
import { settle } from '../../../src/target/activate/leave.ts';
import { makeBootRoom } from '../../../src/target/activate/make-boot-room.ts';
import type { RoomMaker } from '../../../src/target/activate/store-room.ts';
import { smallDisk, wantMounted } from '../../support/own-mounts.ts';
import { inOwnStore, placeSystem } from '../../support/own-store.ts';
import { storePathOf } from '../../support/releases.ts';
import { rootInMemory } from '../../support/root-machine.ts';

const by = { id: 'a'.repeat(12), emit: () => undefined };
const mebi = 1024 ** 2;
const systems = [1, 2, 3].map((n) => storePathOf(n, `nixos-system-${n}`));
const [first, , third] = systems as [StorePath, StorePath, StorePath];
const coming = storePathOf(4, 'nixos-system-4');
const [oldKernel, newKernel] = [storePathOf(5, 'linux-old'), storePathOf(6, 'linux-new')];

async function placeKernel(kernel: StorePath, bytes: number, users: readonly StorePath[]): Promise<void> {
  await mkdir(kernel, { recursive: true });
  await writeFile(join(kernel, 'bzImage'), Buffer.alloc(bytes));
  for (const system of users) {
    await placeSystem(system);
    await symlink(join(kernel, 'bzImage'), join(system, 'kernel')).catch(() => undefined);
  }
}

/** Three generations share a kernel, which the boot partition holds; the system that is coming has a larger one. */
async function scene(t: TestContext, bytes: number) {
  await placeKernel(oldKernel, 4096, systems);
  await placeKernel(newKernel, mebi, [coming]);
  const bootDirectory = await smallDisk(t, bytes);
  const copy = join(bootDirectory, 'EFI/nixos', `${oldKernel.slice('/nix/store/'.length)}-bzImage.efi`);
  await mkdir(join(copy, '..'), { recursive: true });
  await writeFile(copy, Buffer.alloc(4096));
  const made = await rootInMemory(t, { generations: systems, settings: { bootDirectory } });
  return {
    ...made,
    bootDirectory,
    make: (changes: Partial<RoomMaker> = {}) =>
      makeBootRoom({ ...made.machine, ...changes }, by, { bootDirectory, system: coming, running: third }),
  };
}

inOwnStore(import.meta.url, () => {
  test('where there is room already nothing goes, and the menu is not written anew', async (t) => {
    const { make, started } = await scene(t, 4 * mebi);
    assert.deepEqual(await make(), { generations: [], paths: 0, bytes: 0, bootBytes: 0 });
    assert.deepEqual(started, []);
  });

  test('where all that may go would not free enough, none goes', async (t) => {
    const { make, started } = await scene(t, mebi);
    const { generations, unfinished } = await make();
    assert.deepEqual(generations, []);
    assert.match(unfinished ?? '', /^no-boot-space: .* more needed, which no generations that may go would/);
    assert.deepEqual(started, []);
  });

  test('a fault of our own is thrown, not reported as an early end', async (t) => {
    const { make, machine } = await scene(t, mebi);
    const now = () => {
      throw new RangeError('no time');
    };
    await assert.rejects(make({ clock: { ...machine.clock, now } }), /no time/);
  });

  test('a generation whose specialisation the menu offers is there again after a cut', async (t) => {
    const { machine, bootDirectory } = await scene(t, mebi);
    const { profile } = machine.settings;
    const variant = storePathOf(7, 'nixos-system-1-variant');
    await mkdir(join(first, 'specialisation'));
    await symlink(variant, join(first, 'specialisation/variant'));
    await mkdir(join(bootDirectory, 'loader/entries'), { recursive: true });
    await writeFile(join(bootDirectory, 'loader/loader.conf'), '');
    for (const system of [third, variant])
      await writeFile(
        join(bootDirectory, `loader/entries/${system.slice(-9)}.conf`),
        `options init=${system}/init\n`,
      );
    await mkdir(`${profile}.leaving`);
    for (const [i, system] of [first, storePathOf(8, 'nixos-system-8')].entries())
      await symlink(system, join(`${profile}.leaving`, String(10 + i)));
    await unlink(`${profile}-1-link`);
    await settle(machine, 'cut-off');
    const names = await readdir(join(profile, '..'));
    assert.deepEqual(
      names.filter((name) => /-1\d?-link$/.test(name)),
      ['system-10-link'],
    );
  });

  test('while a part of what the boot loader reads is not mounted, nobody knows what is offered', async (t) => {
    const { machine, bootDirectory } = await scene(t, mebi);
    const { profile } = machine.settings;
    await mkdir(join(bootDirectory, 'loader/entries'), { recursive: true });
    await writeFile(join(bootDirectory, 'loader/loader.conf'), '');
    await writeFile(join(bootDirectory, 'loader/entries/3.conf'), `options init=${third}/init\n`);
    await mkdir(`${profile}.leaving`);
    await symlink(first, join(`${profile}.leaving`, '1'));
    await unlink(`${profile}-1-link`);
    await wantMounted(t, join(bootDirectory, 'efi'));
    await settle({ ...machine, settings: { ...machine.settings, activation: 'systemd' } }, 'cut-off');
    assert.ok((await readdir(join(profile, '..'))).includes('system-1-link'));
  });
});
