import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountOptions, reasonNotToMount } from '../../src/core/policy/medium.ts';
import type { MediaPolicy } from '../../src/core/policy/policy.ts';

const policy: MediaPolicy = { mount: true, fileSystems: ['vfat', 'ext4'], labels: [], folders: [] };
const stick = { fileSystem: 'vfat', label: 'UPDATES' };

test('a medium is mounted only where the policy says so, and only what it allows', () => {
  assert.equal(reasonNotToMount(policy, stick), undefined);
  assert.match(reasonNotToMount({ ...policy, mount: false }, stick) ?? '', /media\.mount/);
  assert.match(reasonNotToMount(policy, { ...stick, fileSystem: 'ntfs' }) ?? '', /ntfs/);
  assert.match(reasonNotToMount(policy, { fileSystem: undefined, label: undefined }) ?? '', /no file system/);
  const labelled = { ...policy, labels: ['UPDATES'] };
  assert.equal(reasonNotToMount(labelled, stick), undefined);
  assert.match(reasonNotToMount(labelled, { ...stick, label: 'HOLIDAY' }) ?? '', /HOLIDAY/);
  assert.match(reasonNotToMount(labelled, { ...stick, label: undefined }) ?? '', /no label/);
});

test('whatever the file system, a medium is mounted harmless', () => {
  for (const fileSystem of ['vfat', 'exfat', 'ext4', 'iso9660'])
    for (const option of ['ro', 'nosuid', 'nodev', 'noexec', 'nosymfollow'])
      assert.ok(mountOptions(fileSystem).split(',').includes(option), `${fileSystem} ${option}`);
  assert.ok(mountOptions('ext4').split(',').includes('noload'), 'the journal is not replayed');
});
