/** A boot partition that is to be mounted and is not: nothing is written into the folder below it. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { mountPoints, unmountedBoot, wantedMounts } from '../../src/activation/boot-mounted.ts';
import { temporaryFolder } from '../support/bundles.ts';

/** As NixOS writes it. */
const fstab = `# This is a generated file.  Do not edit!
#
# <file system> <mount point>   <type>  <options>       <dump>  <pass>
/dev/disk/by-label/root / ext4 x-initrd.mount 0 1
/dev/disk/by-uuid/12CE-A600 /boot vfat fmask=0077,dmask=0077 0 2
/dev/disk/by-label/esp /boot/second\\040esp/ vfat nofail 0 2
/dev/disk/by-label/old /boot/old vfat noauto 0 2
#/dev/disk/by-label/off /efi vfat defaults 0 0
tmpfs /run tmpfs defaults 0 0
`;
const mounted = (...targets: readonly string[]) =>
  targets.map((target, i) => `${i} 1 8:${i} / ${target} rw shared:1 - vfat /dev/sda1 rw`).join('\n');

async function missing(t: TestContext, mountinfo: string, boot = '/boot', text = fstab) {
  const folder = await temporaryFolder(t);
  const files = { fstab: join(folder, 'fstab'), mountinfo: join(folder, 'mountinfo') };
  await writeFile(files.fstab, text);
  await writeFile(files.mountinfo, mountinfo);
  return unmountedBoot(boot, files);
}

test('what fstab wants at each start is told from what it only names', () => {
  assert.deepEqual(wantedMounts(fstab), ['/', '/boot', '/boot/second esp', '/run']);
  assert.deepEqual(mountPoints(mounted('/', '/boot/second\\040esp')), ['/', '/boot/second esp']);
});

test('each mount point of the boot loader’s that is not mounted is named', async (t) => {
  assert.deepEqual(await missing(t, mounted('/', '/boot', '/boot/second\\040esp')), []);
  assert.deepEqual(await missing(t, mounted('/', '/boot')), ['/boot/second esp']);
  assert.deepEqual(await missing(t, mounted('/')), ['/boot', '/boot/second esp']);
  // Another folder that begins like it is none of it.
  assert.deepEqual(await missing(t, mounted('/', '/bootleg'), '/boot/second esp'), ['/boot/second esp']);
  assert.deepEqual(await missing(t, mounted('/'), '/kernels'), []);
  assert.deepEqual(await missing(t, mounted('/'), '/kernels', 'LABEL=ESP /efi vfat'), ['/efi']);
});

test('a machine without such a line, or without fstab, starts from its root file system', async (t) => {
  assert.deepEqual(await missing(t, mounted('/'), '/boot', '/dev/sda1 / ext4 defaults 0 1\n'), []);
  assert.deepEqual(await unmountedBoot('/boot', { fstab: '/no/such', mountinfo: '/no/such' }), []);
});
