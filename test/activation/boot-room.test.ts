/** What a boot loader has to copy for a system, by how each loader names what it has copied. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { checkBootRoom, requireFit, toBeCopied } from '../../src/activation/boot-room.ts';
import type { StorePath } from '../../src/core/store-path.ts';
import { temporaryFolder } from '../support/bundles.ts';

const hash = 'a'.repeat(32);
const kernel = { name: `${hash}-linux-6.12/bzImage`, bytes: Buffer.alloc(1000, 'k') };
const initrd = { name: `${hash}-initrd-linux-6.12/initrd`, bytes: Buffer.alloc(500, 'i') };

/** A system in a store, and a boot directory with these files. */
async function scene(t: TestContext, files: readonly string[]) {
  const root = await temporaryFolder(t);
  const [store, bootDirectory] = [join(root, 'store'), join(root, 'boot')];
  const system = join(store, `${hash}-nixos`);
  await mkdir(system, { recursive: true });
  for (const [part, { name, bytes }] of Object.entries({ kernel, initrd })) {
    await mkdir(join(store, name, '..'), { recursive: true });
    await writeFile(join(store, name), bytes);
    await symlink(join(store, name), join(system, part));
  }
  for (const file of files) {
    await mkdir(join(bootDirectory, file, '..'), { recursive: true });
    await writeFile(join(bootDirectory, file), '');
  }
  const ask = (running?: string) =>
    toBeCopied(
      { bootDirectory, system: system as StorePath, running: running as StorePath | undefined },
      store,
    );
  return { ask, system, store };
}

/** RFC 4648 by its own words: five bits a digit, most significant first. */
function base32(bytes: Buffer): string {
  let value = BigInt(`0x${bytes.toString('hex')}`) << 4n;
  let text = '';
  for (let i = 0; i < 52; i++) {
    text = `${'abcdefghijklmnopqrstuvwxyz234567'[Number(value & 31n)]}${text}`;
    value >>= 5n;
  }
  return text;
}
const byContents = (part: string, { bytes }: { readonly bytes: Buffer }) =>
  `EFI/nixos/${part}-6.12-${base32(createHash('sha256').update(bytes).digest())}.efi`;
const dashed = ({ name }: { readonly name: string }) => name.replaceAll('/', '-');

for (const [loader, fileOf] of [
  ['systemd-boot', (part: typeof kernel) => `EFI/nixos/${dashed(part)}.efi`],
  ['GRUB', (part: typeof kernel) => `kernels/${dashed(part)}`],
  ['extlinux', (part: typeof kernel) => `nixos/${dashed(part)}`],
  ['Limine', (part: typeof kernel) => `limine/kernels/${dashed(part)}`],
  ['lanzaboote', (part: typeof kernel) => byContents(part === kernel ? 'kernel' : 'initrd', part)],
] as const) {
  test(`${loader}: what is there is not copied again, and what is not there is`, async (t) => {
    assert.deepEqual(await (await scene(t, [fileOf(kernel), fileOf(initrd)])).ask(), {
      bytes: 0,
      isKnown: true,
    });
    assert.deepEqual(await (await scene(t, [fileOf(kernel)])).ask(), { bytes: 500, isKnown: true });
  });
}

test('with a loader that is not known the kernel that runs is there, and of another nobody can tell', async (t) => {
  const { ask, system, store } = await scene(t, ['EFI/BOOT/BOOTX64.EFI', 'kernels/readme']);
  assert.deepEqual(await ask(system), { bytes: 0, isKnown: false });
  assert.deepEqual(await ask(), { bytes: 1500, isKnown: false });
  assert.deepEqual(await ask(join(store, 'gone')), { bytes: 1500, isKnown: false });
});

test('the way back needs no kernel, but a menu: not one block left is too little', () => {
  const question = { bootDirectory: '/boot' };
  assert.equal(requireFit(question, { bytes: 0, isKnown: true }, 64 * 1024), undefined);
  assert.throws(() => requireFit(question, { bytes: 0, isKnown: true }, 64 * 1024 - 1), {
    code: 'no-boot-space',
    detail: /^the boot menu needs space in \/boot, which has 65535 bytes free$/,
  });
  assert.match(requireFit(question, { bytes: 0, isKnown: false }, 0) ?? '', /has only 0 B free:/);
});

test('without room it is `no-boot-space` where the loader is known, and a notice where it is not', async (t) => {
  const { system } = await scene(t, []);
  // Of another file system than the store’s; its size is all that counts of a kernel.
  const bootDirectory = await mkdtemp('/dev/shm/nixmaker-boot-');
  t.after(() => rm(bootDirectory, { recursive: true }));
  await truncate(join(system, 'kernel'), 2 ** 40);
  const question = { bootDirectory, system: system as StorePath, running: undefined };
  assert.match((await checkBootRoom(question)) ?? '', /needs 1 TiB in \/dev\/shm/);
  await mkdir(join(bootDirectory, 'nixos'));
  await writeFile(join(bootDirectory, 'nixos', dashed(initrd)), '');
  await assert.rejects(checkBootRoom(question), { code: 'no-boot-space' });
});
