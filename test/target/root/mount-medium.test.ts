/** Which device that has come is mounted, and that of this machine’s own disk not even a byte is asked to be read-only. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { mountByPolicy } from '../../../src/target/root/mount-medium.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import { rootInMemory } from '../../support/root-machine.ts';

for (const [what, target, isOwn] of [
  ['this machine’s own', '/', true],
  ['a medium', '/run/media/others/STICK', false],
] as const)
  test(`a device that is ${what} is ${isOwn ? 'left alone' : 'mounted'}`, async (t) => {
    const filesystems = [{ target, source: '/dev/zz1', fstype: 'ext4', 'maj:min': '250:1' }];
    const { machine, started, events } = await rootInMemory(t, {
      policy: { media: { mount: true } },
      settings: { media: { roots: ['/run/media/others'], directory: join(await temporaryFolder(t), 'own') } },
      answer: ([program]) => {
        if (program === 'blkid') return { stdout: 'TYPE=ext4\n' };
        return program === 'findmnt' ? { stdout: JSON.stringify({ filesystems }) } : undefined;
      },
    });
    await mountByPolicy(machine, 'zz1');
    const changing = started.map(({ argv }) => argv[0]).filter((p) => p === 'blockdev' || p === 'mount');
    assert.deepEqual(changing, isOwn ? [] : ['blockdev', 'mount']);
    const told = events.map(({ event, because }) => [event, because]);
    assert.deepEqual(told, [
      isOwn ? ['medium-left-alone', 'this machine has / on the same disk'] : ['medium-mounted', undefined],
    ]);
  });
