/**
 * Sticks that are smaller than they say, or no longer write, and say nothing (scsi_debug(4), virtual_gb and fake_rw): `put` tells by what
 * they give back. And a real FAT32 whose folder has no room for more names.
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { copyDisk, emptyDisk, Vm } from '../machines/vm.ts';
import { writeTestBundle } from '../support/bundles.ts';
import { allCases } from '../support/cases.ts';
import { makeWorkplace } from '../support/fleet.ts';

const place = await makeWorkplace();
const folder = join(place, 'machine');
await mkdir(folder);
await copyDisk(emptyDisk('media'), folder);
const vm = await Vm.boot(folder);
after(() => Vm.cutAll());

const long = 300_000;
const bundle = async (host: string, bytes: number) => {
  await writeTestBundle(join(folder, `${host}.tar`), { manifest: { host }, fileSizes: [bytes, 700] });
  return `/host/${host}.tar`;
};
const megabyte = 1_000_000;

/** A new stick, formatted and mounted. What it really has is 64 MiB; where it says it has more, it begins again at their end. */
async function plug(
  fileSystem: 'vfat' | 'ext4',
  says: 'a gibibyte' | 'what it has' = 'a gibibyte',
): Promise<void> {
  const size = says === 'a gibibyte' ? 'virtual_gb=1' : '';
  const make =
    fileSystem === 'vfat'
      ? 'mkfs.vfat -F 32'
      : 'mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=0,nodiscard -N 1024';
  await vm.sh(
    `modprobe scsi_debug dev_size_mb=64 ${size} delay=0 removable=1; until test -b /dev/sda; do sleep 0.05; done; modprobe ${fileSystem} || true; ${make} /dev/sda >/dev/null; mount -t ${fileSystem} /dev/sda /mnt`,
    long,
  );
}
const pull = () =>
  vm.sh(
    'umount /mnt || umount --lazy /mnt; echo 3 >/proc/sys/vm/drop_caches; modprobe -r scsi_debug || { sleep 1; modprobe -r scsi_debug; }',
    long,
  );
const put = (...files: string[]) => vm.try(`nixmaker put /mnt ${files.join(' ')} 2>&1`, long);

test('a stick that has room is filled and read back', async () => {
  await plug('vfat');
  const { code, output } = await put(await bundle('small', 20 * megabyte));
  assert.equal(code, 0, output);
  assert.match(output, /^small +7 .*written and read back$/m);
  await pull();
});

for (const fileSystem of ['vfat', 'ext4'] as const) {
  test(`one host is larger than the stick really is, on ${fileSystem}`, async () => {
    await plug(fileSystem);
    const { code, output } = await put(await bundle('large', 100 * megabyte));
    assert.equal(code, 1, output);
    assert.match(output, /does not store what is written to it\.\n.*\n.*\n?\(medium-failing\)/, output);
    await pull();
  });

  test(`each host fits, and the second is written over the first, on ${fileSystem}`, async () => {
    await plug(fileSystem);
    const files = [await bundle('a', 40 * megabyte), await bundle('b', 40 * megabyte)];
    const { code, output } = await put(...files);
    assert.equal(code, 1, output);
    assert.match(output, /\(medium-failing\)/, output);
    await pull();
  });

  test(`a stick that has stopped writing, on ${fileSystem}: not one file is taken for written`, async () => {
    await plug(fileSystem, 'what it has');
    assert.equal((await put(await bundle('good', megabyte))).code, 0);
    await vm.sh('sync; echo 1 >/sys/bus/pseudo/drivers/scsi_debug/fake_rw');
    // Smaller than what the kernel was ever asked to forget.
    const { code, output } = await put(await bundle('tiny', 100));
    assert.equal(code, 1, output);
    assert.match(output, /\(medium-failing\)/, output);
    await vm.sh('echo 0 >/sys/bus/pseudo/drivers/scsi_debug/fake_rw');
    await pull();
  });
}

// The names alone take minutes.
if (allCases)
  test('a FAT32 folder without room for more names is told before anything is written', async () => {
    await vm.sh(
      'truncate --size 300M /root/fat.img; mkfs.vfat -F 32 /root/fat.img >/dev/null; mount -t vfat -o loop /root/fat.img /mnt',
    );
    // Of 52 characters, as an index has: five entries each of 65,536.
    const fill = (to: number) =>
      `node -e 'const fs=require("node:fs");const d="/mnt/nixmaker/cache/index";fs.mkdirSync(d,{recursive:true});for(let i=0;;i++){try{fs.closeSync(fs.openSync(d+"/~"+String(i).padStart(51,"0"),"w"))}catch(e){console.log(i,e.code);break}if(i===${to})break}'`;
    const filled = await vm.sh(`export PATH=/opt/node/bin:$PATH; ${fill(20_000)}`, 4 * long);
    assert.match(filled, /^13\d\d\d ENOSPC$/m);
    const web = await bundle('web', 3000);
    const full = await put(web);
    assert.equal(full.code, 1, full.output);
    assert.match(full.output, /nixmaker\/cache\/index on \/mnt has 13\d\d\d names; .*\(folder-full\)/s);
    assert.equal(
      await vm.sh('ls /mnt/nixmaker/cache /mnt/nixmaker/hosts'),
      '/mnt/nixmaker/cache:\nindex\n\n/mnt/nixmaker/hosts:\n',
    );
    await vm.sh(
      'ls /mnt/nixmaker/cache/index | head -n 20 | while read -r n; do rm "/mnt/nixmaker/cache/index/$n"; done',
      long,
    );
    const fits = await put(web);
    assert.equal(fits.code, 0, fits.output);
    await vm.sh('umount /mnt; rm /root/fat.img');
  });
