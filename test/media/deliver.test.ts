/** Receipts in a folder that a carrier owns, and can replace by whatever it likes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { NixmakerError } from '../../src/core/errors.ts';
import { asMediumError, deliver } from '../../src/media/deliver.ts';
import { temporaryFolder } from '../support/bundles.ts';

const folders = ['nixmaker', 'receipts', 'web'];
const files = [{ name: '10.json', text: 'a receipt' }];
const below = join(...folders);

/** A carrier's folder, the pool in it that the policy names, and a folder of root's. */
async function scene(t: TestContext) {
  const root = await temporaryFolder(t);
  await chmod(root, 0o755);
  const [carrier, etc] = [join(root, 'carrier'), join(root, 'etc')];
  await mkdir(join(carrier, 'pool'), { recursive: true });
  await mkdir(etc);
  if (process.getuid?.() === 0) await chown(carrier, 65534, 65534);
  return { root, carrier, pool: join(carrier, 'pool'), etc };
}

test('they are written, also where root has made the folder a link', async (t) => {
  const { root, pool } = await scene(t);
  await symlink(pool, join(root, 'named'));
  await deliver(join(root, 'named'), folders, files);
  assert.equal(await readFile(join(pool, below, '10.json'), 'utf8'), 'a receipt');
});

test(
  'a link that the carrier has put in the place of the folder, or above it, is not followed',
  process.getuid?.() === 0 ? {} : { skip: 'for root, whom alone others can lead anywhere' },
  async (t) => {
    const { carrier, pool, etc } = await scene(t);
    execFileSync('rmdir', [pool]);
    await symlink(etc, pool);
    await assert.rejects(deliver(pool, folders, files), {
      code: 'medium-read-only',
      detail: `${pool}: ELOOP`,
    });
    await mkdir(join(etc, 'deep'));
    await symlink(etc, join(carrier, 'above'));
    await assert.rejects(deliver(join(carrier, 'above/deep'), folders, files), { code: 'medium-read-only' });
    assert.deepEqual(await readdir(etc), ['deep']);
    assert.deepEqual(await readdir(join(etc, 'deep')), []);
  },
);

for (const [what, put] of [
  ['a link', (path: string, etc: string) => symlink(etc, path)],
  ['a pipe', async (path: string) => void execFileSync('mkfifo', [path])],
  ['a file', (path: string) => writeFile(path, '')],
] as const)
  test(`${what} in the place of a folder within is not gone through`, async (t) => {
    for (const place of ['nixmaker', 'nixmaker/receipts', 'nixmaker/receipts/web']) {
      const { pool, etc } = await scene(t);
      const path = join(pool, place);
      await mkdir(join(path, '..'), { recursive: true });
      await put(path, etc);
      await assert.rejects(deliver(pool, folders, files), { code: 'medium-read-only' });
      assert.deepEqual(await readdir(etc), []);
    }
  });

for (const [what, put] of [
  ['a link', (path: string, etc: string) => symlink(join(etc, 'new'), path)],
  ['a pipe', async (path: string) => void execFileSync('mkfifo', [path])],
] as const)
  test(`${what} in the place of a receipt, or of its draft, gives way to it`, async (t) => {
    const { pool, etc } = await scene(t);
    await mkdir(join(pool, below), { recursive: true });
    for (const name of ['10.json', '.10.json.part']) await put(join(pool, below, name), etc);
    await deliver(pool, folders, files);
    assert.equal(await readFile(join(pool, below, '10.json'), 'utf8'), 'a receipt');
    assert.deepEqual(await readdir(etc), []);
  });

for (const [code, errnos] of [
  ['medium-full', ['ENOSPC', 'EDQUOT', 'EFBIG']],
  ['medium-read-only', ['EROFS', 'EACCES', 'EPERM', 'ELOOP', 'ENOTDIR', 'EISDIR']],
  ['medium-failing', ['EIO', 'ENODEV', 'ENXIO', 'ENOENT', 'ESTALE']],
] as const)
  test(`what a medium answers with ${errnos.join(', ')} is told as ${code}`, () => {
    for (const errno of errnos) {
      const told = asMediumError(Object.assign(new Error('x'), { code: errno }), '/m');
      assert.ok(told instanceof NixmakerError);
      assert.deepEqual([told.code, told.detail], [code, `/m: ${errno}`]);
    }
  });

test('a damaged file system is named as that, what has a code keeps it, and a fault of ours is not the medium’s', () => {
  const damaged = Object.assign(new Error('x'), { code: 'Unknown system error -117', errno: -117 });
  assert.match(String(asMediumError(damaged, '/m')), /medium-failing: \/m: EUCLEAN$/);
  for (const error of [new NixmakerError('medium-full', 'x'), new TypeError('x')])
    assert.equal(asMediumError(error, '/m'), error);
});
