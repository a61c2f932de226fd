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

const options = (fileSystem: string, access: 'read' | 'write') => mountOptions(fileSystem, access).split(',');
const mounted = ['vfat', 'exfat', 'ext4', 'iso9660'];

test('whatever the file system, a medium is mounted harmless', () => {
  for (const fileSystem of mounted)
    for (const access of ['read', 'write'] as const)
      for (const option of ['nosuid', 'nodev', 'noexec', 'nosymfollow', access === 'read' ? 'ro' : 'rw'])
        assert.ok(options(fileSystem, access).includes(option), `${fileSystem} ${access} ${option}`);
});

test('what a file system says of errors never counts: no superblock can have the kernel panic', () => {
  for (const fileSystem of mounted.filter((f) => f !== 'iso9660'))
    for (const access of ['read', 'write'] as const)
      assert.ok(options(fileSystem, access).includes('errors=remount-ro'), `${fileSystem} ${access}`);
  // It knows no such option, and mount(2) would refuse it.
  assert.ok(!mountOptions('iso9660', 'read').includes('errors='));
});

test('of a file system that is not ours there are no options but the harmless ones', () => {
  assert.equal(mountOptions('ntfs3', 'read'), 'ro,nosuid,nodev,noexec,nosymfollow');
  assert.equal(mountOptions('iso9660', 'write'), 'rw,nosuid,nodev,noexec,nosymfollow');
});

test('a journal is replayed only for a receipt', () => {
  assert.ok(options('ext4', 'read').includes('noload'));
  assert.ok(!options('ext4', 'write').includes('noload'));
});
