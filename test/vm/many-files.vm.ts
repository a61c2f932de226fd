/**
 * Twenty thousand files on a real FAT32, whose folders hold 65,536 entries of 32 bytes and so some eleven thousand of our names: put,
 * read back, put again, and cleared away. Takes some ten minutes, so it is run with NIXMAKER_CASES=all only.
 */
import assert from 'node:assert/strict';
import { link } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { run } from '../machines/program.ts';
import { copyDisk, Vm } from '../machines/vm.ts';
import { makeDisk } from '../machines/vm-target.ts';
import { allCases } from '../support/cases.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { writeRecipes } from '../support/recipes.ts';

if (allCases) {
  const shop = await makeWorkshop();
  after(() => Vm.cutAll());
  const count = 20_000;
  const long = 2_400_000;

  test(`${count} files lie on FAT32, are read back, and go again`, async (t) => {
    const flake = join(shop.folder, 'many');
    await writeRecipes(flake, count);
    const args = [
      '--flake',
      `path:${flake}`,
      '--dir',
      join(shop.folder, 'many-out'),
      '--key',
      shop.keys.secretFile,
    ];
    const built = await shop.builder.nixmaker(['build', ...args, '--content', 'derivation']);
    assert.equal(built.code, 0, built.stderr);
    const old = await shop.bundle('old', {
      hosts: { web: plainHost('web', 'old') },
      args: ['--sequence', '1'],
    });
    const folder = join(shop.folder, 'machine');
    await copyDisk(await makeDisk(shop, 'golden', { kind: 'media', bundle: old }), folder);
    const made = await run('truncate', ['--size', '1G', join(folder, 'second')]);
    assert.equal(made.code, 0, made.stderr);
    await link(join(shop.folder, 'many-out/host/host.tar'), join(folder, 'bundle.tar'));
    await link(old, join(folder, 'old.tar'));
    const vm = await Vm.boot(folder);
    const clock = async (what: string, script: string) => {
      const started = performance.now();
      const output = await vm.sh(script, long);
      t.diagnostic(`${what}: ${Math.round((performance.now() - started) / 1000)} s`);
      return output;
    };
    await vm.sh('modprobe vfat; mkfs.vfat -F 32 -n MANY /dev/ubdb >/dev/null; mount -t vfat /dev/ubdb /mnt');
    await clock('put', 'nixmaker put /mnt /host/bundle.tar');
    const files = async () => Number(await vm.sh('find /mnt/nixmaker/cache -name "*.zst" | wc -l', long));
    const there = await files();
    assert.ok(there > count, String(there));
    await vm.sh('umount /mnt; mount -t vfat /dev/ubdb /mnt');
    assert.match(await clock('put again', 'nixmaker put /mnt /host/bundle.tar'), /\bthere\b/);
    assert.equal(await files(), there);
    // Another host’s release beside it; then this one’s entry is gone, and what it alone needed goes with the next put.
    await vm.sh('rm -r /mnt/nixmaker/hosts/host');
    await clock('put of another, which clears away', 'nixmaker put /mnt /host/old.tar');
    assert.ok((await files()) < 20);
  });
}
