/** What a live system needs from a person before it installs; and which media it looks at. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { consentFor } from '../../src/core/install/consent.ts';
import { listPlugged } from '../../src/media/hot-plugged.ts';
import { temporaryFolder } from '../support/bundles.ts';

const overwrites = fc.option(
  fc.record({ disks: fc.constant(['/dev/vda']), empty: fc.boolean(), named: fc.boolean() }),
  { nil: undefined },
);

test('nobody is asked only where a signed table says so, and nothing on a disk is lost', () => {
  fc.assert(
    fc.property(fc.boolean(), overwrites, (unattended, of) => {
      const consent = consentFor({ unattended, overwrites: of });
      const nothingLost = of === undefined || (of.named && of.empty);
      assert.equal(consent === 'none', unattended && nothingLost);
      assert.equal(consent === 'names', of?.named === false);
    }),
  );
});

test('what was plugged in counts, but for what is mounted, used or built in; strange names hold nothing up', async (t) => {
  const on = (kname: string, more: object = {}) => ({ kname, fstype: 'vfat', hotplug: true, ...more });
  const blockdevices = [
    on('sda', { hotplug: false, children: [on('sda1', { hotplug: false })] }),
    { kname: 'sdb', fstype: null, hotplug: true, children: [on('sdb1', { label: 'FLEET' }), on('sdb2')] },
    on('sdc', { mountpoints: ['/iso'], children: [] }),
    on('sdd', { children: [on('sdd1', { mountpoints: [null, '/x'] })] }),
    on('../etc'),
    on('mmcblk0p1'),
    on('mmcblk1p1'),
  ];
  const answer = { stderrTail: [], timedOut: false, startError: undefined };
  const stdout = JSON.stringify({ blockdevices });
  const sys = await temporaryFolder(t);
  for (const [disk, type] of [
    ['mmcblk0', 'MMC'],
    ['mmcblk1', 'SD'],
  ] as const) {
    await mkdir(join(sys, 'class/block', disk, 'device'), { recursive: true });
    await writeFile(join(sys, 'class/block', disk, 'device/type'), `${type}\n`);
  }
  const found = await listPlugged(async () => ({ ...answer, exitCode: 0, stdout }), sys);
  assert.deepEqual(found, [
    { name: 'sdb1', fileSystem: 'vfat', label: 'FLEET' },
    { name: 'sdb2', fileSystem: 'vfat', label: '' },
    { name: 'mmcblk1p1', fileSystem: 'vfat', label: '' },
  ]);
  assert.deepEqual(await listPlugged(async () => ({ ...answer, exitCode: 1, stdout: '' })), []);
});
