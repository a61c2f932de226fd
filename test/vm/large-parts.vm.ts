/**
 * Pieces of more than 4 GiB on a real FAT32: in parts; then a changed one, a smaller one, and one of more than 8 GiB. They are zeros, so that only
 * the stick has their bytes; still some 40 GB are moved, so it is run with NIXMAKER_CASES=all only.
 */
import assert from 'node:assert/strict';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { run } from '../machines/program.ts';
import { copyDisk, emptyDisk, Vm } from '../machines/vm.ts';
import { allCases } from '../support/cases.ts';
import { makeWorkplace } from '../support/fleet.ts';
import { digestOfHole, writeSparseBundle } from '../support/sparse-bundle.ts';

const gibibyte = 1024 ** 3;
const long = 1_800_000;

if (allCases) {
  const folder = join(await makeWorkplace(), 'machine');
  await mkdir(folder);
  await copyDisk(emptyDisk('media'), folder);
  const made = await run('truncate', ['--size', '15G', join(folder, 'second')]);
  assert.equal(made.code, 0, made.stderr);
  const vm = await Vm.boot(folder);
  after(() => Vm.cutAll());

  test('pieces beyond 4 and 8 GiB give way to one another on one stick', async (t) => {
    await vm.sh('modprobe vfat; mkfs.vfat -F 32 -n LARGE /dev/ubdb >/dev/null; mount -t vfat /dev/ubdb /mnt');
    let sequence = 0;
    for (const [size, parts] of [
      [4 * gibibyte + 50_000_000, 2],
      [4 * gibibyte + 51_000_000, 2],
      [1_000_000, 0],
      [8 * gibibyte + 1000, 3],
    ] as const) {
      sequence += 1;
      await writeSparseBundle(join(folder, 'web.tar'), [size], { sequence, digestOf: digestOfHole });
      const started = performance.now();
      const { code, output } = await vm.try('nixmaker put /mnt /host/web.tar 2>&1', long);
      t.diagnostic(`${size} bytes: ${Math.round((performance.now() - started) / 1000)} s`);
      assert.equal(code, 0, output);
      assert.match(output, new RegExp(`^web +${sequence} .*written and read back$`, 'm'));
      const sizes = (await vm.sh('find /mnt/nixmaker/cache -name "*.zst*" -printf "%s %f\\n" | sort -n'))
        .trim()
        .split('\n');
      const inParts = sizes.filter((line) => /\.\d{3}$/.test(line));
      assert.equal(inParts.length, parts, sizes.join('\n'));
      assert.equal(sizes.length, 1 + Math.max(1, parts), 'nothing of the one before is left');
      const sum = sizes.reduce((bytes, line) => bytes + Number(line.split(' ')[0]), 0);
      assert.equal(sum, size + 512);
      assert.ok(sizes.every((line) => Number(line.split(' ')[0]) < 2 ** 32));
      await rm(join(folder, 'web.tar'));
    }
    assert.match(
      (await vm.try('umount /mnt; fsck.vfat -n /dev/ubdb 2>&1')).output,
      /\d+ files, \d+\/\d+ clusters/,
    );
    await vm.cutPower();
  });
}
