import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { link, mkdir, open, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkAllNars, readMember, streamMember } from '../../src/bundle/contents.ts';
import { openBundleFile } from '../../src/bundle/file.ts';
import { encodeHeader, sizeFromHeader } from '../../src/bundle/ustar.ts';
import { NixmakerError, type ReasonCode } from '../../src/core/errors.ts';
import { openTestBundle, temporaryFolder, writeTestBundle } from '../support/bundles.ts';

async function refused(work: Promise<unknown>, ...codes: ReasonCode[]): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof NixmakerError, String(error));
    assert.ok(codes.includes(error.code), `${error.code}: ${error.detail}`);
    return true;
  });
}

const checkAll = async (path: string) => {
  const bundle = await openTestBundle(path);
  try {
    await checkAllNars(bundle);
  } finally {
    await bundle.file.close();
  }
};

test('GNU tar lists a bundle as read-only files of root at time zero, in the order of the format', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'web.tar');
  const manifest = await writeTestBundle(path);
  const listing = execFileSync('tar', ['--utc', '-tvf', path], { encoding: 'utf8' }).trimEnd().split('\n');
  const names = listing.map((line) => line.split(/\s+/)[5]);
  assert.deepEqual(names, ['manifest.json', 'manifest.sig', ...manifest.members.map((m) => m.name)]);
  for (const line of listing) assert.match(line, /^-r--r--r-- 0\/0 +\d+ 1970-01-01 00:00 /);
});

test('a header tells its size for its own name only', () => {
  for (const size of [0, 1, 511, 8 ** 10 - 1, 8 ** 10, 8 * 1024 ** 3 - 1]) {
    assert.equal(sizeFromHeader(encodeHeader('manifest.json', size), 'manifest.json'), size);
    assert.equal(sizeFromHeader(encodeHeader('manifest.json', size), 'manifest.sig'), undefined);
  }
});

test('a member of 8 GiB can’t be written', () => {
  assert.throws(() => encodeHeader('nar/x', 8 * 1024 ** 3), /bundle-too-large/);
});

test('a whole bundle opens, and its members read as signed', async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  await writeTestBundle(path, { narSizes: [600_000, 0] });
  const bundle = await openTestBundle(path);
  await checkAllNars(bundle);
  for (const member of bundle.placed) {
    const chunks: Buffer[] = [];
    for await (const chunk of streamMember(bundle, member)) chunks.push(chunk);
    assert.deepEqual(Buffer.concat(chunks), await readMember(bundle, member));
  }
  await bundle.file.close();
});

test('cut off at any multiple of 512 bytes, a bundle is truncated and nothing else', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'web.tar');
  await writeTestBundle(path);
  const whole = await readFile(path);
  const cut = join(folder, 'cut.tar');
  for (let size = 0; size < whole.length; size += 512) {
    await writeFile(cut, whole.subarray(0, size));
    await refused(checkAll(cut), 'bundle-truncated');
  }
});

test('a flipped bit anywhere is noticed', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'web.tar');
  await writeTestBundle(path, { narSizes: [900, 100] });
  const whole = await readFile(path);
  const flipped = join(folder, 'flipped.tar');
  for (let at = 0; at < whole.length; at += 37) {
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    await writeFile(flipped, bytes);
    await assert.rejects(checkAll(flipped), NixmakerError, `byte ${at}`);
  }
});

test('a stream of altered contents ends before its last chunk', async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  await writeTestBundle(path, { narSizes: [700_000, 10] });
  const bundle = await openTestBundle(path);
  const large = bundle.placed.find((m) => m.size === 700_000);
  assert.ok(large !== undefined);
  const file = await open(path, 'r+');
  await file.write(Buffer.from([1, 2, 3]), 0, 3, large.position);
  await file.close();
  let got = 0;
  const reading = (async () => {
    for await (const chunk of streamMember(bundle, large)) got += chunk.length;
  })();
  await refused(reading, 'bundle-altered');
  assert.ok(got < large.size);
  await bundle.file.close();
});

test('bytes after the end are refused', async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  await writeTestBundle(path);
  const { length } = await readFile(path);
  await truncate(path, length + 1);
  await refused(checkAll(path), 'bundle-trailing-data');
});

for (const [what, spoil] of [
  ['a missing NAR', (m: readonly unknown[]) => m.slice(0, -1)],
  ['a missing narinfo', (m: readonly unknown[]) => m.toSpliced(2, 1)],
  ['members in another order', (m: readonly unknown[]) => m.toReversed()],
] as const) {
  test(`${what} is refused even when it is signed`, async (t) => {
    const path = join(await temporaryFolder(t), 'web.tar');
    await writeTestBundle(path, { members: (m) => spoil(m) as typeof m });
    await refused(checkAll(path), 'manifest-malformed', 'closure-incomplete');
  });
}

test('a narinfo that says something else than the manifest is refused even when it is signed', async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  await writeTestBundle(path, { narinfo: (info) => ({ ...info, narSize: info.narSize + 1 }) });
  await refused(checkAll(path), 'bundle-malformed');
});

for (const what of ['empty', 'random', 'text', 'gzip'] as const) {
  test(`a file that is ${what} is no bundle`, async (t) => {
    const path = join(await temporaryFolder(t), 'web.tar');
    const contents = {
      empty: '',
      random: '\u0001'.repeat(5000),
      text: 'hello\n'.repeat(500),
      gzip: `\u001f\u008b${'x'.repeat(900)}`,
    };
    await writeFile(path, contents[what]);
    await refused(checkAll(path), what === 'empty' ? 'bundle-truncated' : 'not-a-bundle');
  });
}

test('a symbolic link, a folder and a FIFO are no bundles, and opening them does not hang', async (t) => {
  const folder = await temporaryFolder(t);
  await writeTestBundle(join(folder, 'real.tar'));
  await symlink('real.tar', join(folder, 'link.tar'));
  await mkdir(join(folder, 'folder.tar'));
  execFileSync('mkfifo', [join(folder, 'fifo.tar')]);
  for (const name of ['link.tar', 'folder.tar', 'fifo.tar'])
    await refused(openBundleFile(join(folder, name)), 'not-a-bundle');
});

test('a hard link is as good as the file', async (t) => {
  const folder = await temporaryFolder(t);
  await writeTestBundle(join(folder, 'real.tar'));
  await link(join(folder, 'real.tar'), join(folder, 'link.tar'));
  await checkAll(join(folder, 'link.tar'));
});

test('a foreign tar with the same members is refused: there is one header for each', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'web.tar');
  const manifest = await writeTestBundle(path);
  execFileSync('tar', ['-xf', path, '-C', folder]);
  const names = ['manifest.json', 'manifest.sig', ...manifest.members.map((m) => m.name)];
  execFileSync('tar', ['--format=ustar', '-cf', join(folder, 'again.tar'), '-C', folder, ...names]);
  await refused(checkAll(join(folder, 'again.tar')), 'not-a-bundle');
});
