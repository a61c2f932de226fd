/** The one file that a bundle is: its members, their headers, and every byte that is computed. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { link, mkdir, open, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkAllPieces, readPiece, streamPiece } from '../../src/bundle/contents.ts';
import { openBundleFile } from '../../src/bundle/file.ts';
import { distinctPieces } from '../../src/bundle/members.ts';
import { encodeHeader, sizeFromHeader } from '../../src/bundle/ustar.ts';
import { NixmakerError, type ReasonCode } from '../../src/core/errors.ts';
import { pieceName } from '../../src/core/release/contents-file.ts';
import { makeTrustSet } from '../../src/signing/verify.ts';
import { openFromMemory } from '../fuzz/memory-file.ts';
import { openTestBundle, pair, temporaryFolder, wholePiece, writeTestBundle } from '../support/bundles.ts';
import { assemble, bytesOf, takeApart, withBytes } from '../support/forge.ts';
import { base256 } from '../support/forge-release.ts';

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
    await checkAllPieces(bundle);
  } finally {
    await bundle.file.close();
  }
};

const narinfo = (letter: string) => `${letter.repeat(32)}.narinfo`;

test('GNU tar lists a bundle as read-only files of root at time zero, in the order of the format', async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  const { pieces } = await writeTestBundle(path);
  const listing = execFileSync('tar', ['--utc', '-tvf', path], { encoding: 'utf8' }).trimEnd().split('\n');
  const names = listing.map((line) => line.split(/\s+/)[5]);
  assert.deepEqual(names, [
    ...['manifest.json', 'manifest.sig', 'index', 'nix.sig', 'contents', 'meta', 'nix-cache-info'],
    // In the order of the lines, which is that of depth and name.
    ...[narinfo('c'), narinfo('d'), narinfo('b')],
    ...pieces.keys(),
  ]);
  for (const line of listing) assert.match(line, /^-r--r--r-- 0\/0 +\d+ 1970-01-01 00:00 /);
});

test('a header tells its size for its own name only', () => {
  for (const size of [0, 1, 511, 8 ** 10 - 1, 8 ** 10, 8 * 1024 ** 3 - 1]) {
    assert.equal(sizeFromHeader(encodeHeader('manifest.json', size), 'manifest.json'), size);
    assert.equal(sizeFromHeader(encodeHeader('manifest.json', size), 'manifest.sig'), undefined);
  }
});

test('from 8 GiB on, and not below, a size is in base 256, as GNU tar reads it', async (t) => {
  const path = join(await temporaryFolder(t), 'large.tar');
  for (const size of [8 ** 11 - 1, 8 ** 11, 8 ** 11 + 1, 2 ** 40]) {
    const header = encodeHeader('nar/x', size);
    const field = size < 8 ** 11 ? Buffer.from(`${size.toString(8)}\0`) : base256(size);
    assert.deepEqual(header.subarray(124, 136), field);
    await writeFile(path, header);
    // Sparse: what is listed is what the header says.
    await truncate(path, 512 * (3 + Math.ceil(size / 512)));
    const listed = execFileSync('tar', ['-tvf', path], { encoding: 'utf8' });
    assert.equal(listed.split(/\s+/)[2], String(size));
  }
});

test('a whole bundle opens, and its pieces read as they are announced', async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  const { pieces } = await writeTestBundle(path, { fileSizes: [600_000, 0] });
  const bundle = await openTestBundle(path);
  await checkAllPieces(bundle);
  for (const piece of distinctPieces(bundle)) {
    const chunks: Buffer[] = [];
    for await (const chunk of streamPiece(bundle.reader, piece)) chunks.push(chunk);
    assert.deepEqual(Buffer.concat(chunks), pieces.get(pieceName(piece)));
    assert.deepEqual(
      await readPiece(bundle.reader, piece, Buffer.alloc(piece.size)),
      pieces.get(pieceName(piece)),
    );
  }
  await bundle.file.close();
});

test('paths that share a file share a member', () => {
  const [one, two] = [0, 1].map((line) => wholePiece(line, Buffer.from('the same')).piece);
  assert.ok(one !== undefined && two !== undefined);
  const pieces = new Map([
    [0, [one]],
    [1, [two]],
  ]);
  assert.deepEqual([...distinctPieces({ pieces })], [one]);
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

test('every byte of every member but the first two is what it has to be', async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  await writeTestBundle(path, { fileSizes: [100, 100] });
  const apart = await takeApart(path);
  const trust = makeTrustSet([pair.public], 1);
  await openFromMemory(apart.whole, trust);
  for (const { name, bytes } of apart.members) {
    const isPiece = name.includes('/');
    const code = isPiece || name === 'index' ? 'bundle-altered' : 'bundle-malformed';
    // Of a piece the digest is compared: every tenth byte shows that.
    for (let at = 0; at < bytes.length; at += isPiece ? 10 : 1) {
      const spoilt = Buffer.from(bytes);
      spoilt[at] = (spoilt[at] ?? 0) ^ 1;
      const whole = assemble({ ...apart, members: withBytes(apart, name, spoilt) });
      await assert.rejects(openFromMemory(whole, trust), { code }, `byte ${at} of ${name}`);
    }
  }
});

test('a flipped bit anywhere is noticed, in headers and between members as well', async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  await writeTestBundle(path, { fileSizes: [900, 100] });
  const whole = await readFile(path);
  const trust = makeTrustSet([pair.public], 1);
  for (let at = 0; at < whole.length; at += 23) {
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    await assert.rejects(openFromMemory(bytes, trust), NixmakerError, `byte ${at}`);
  }
});

test('a piece that is altered after it was checked is told from a bundle that lies', async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  await writeTestBundle(path, { fileSizes: [700_000, 10] });
  const bundle = await openTestBundle(path);
  const [large] = [...distinctPieces(bundle)].filter((piece) => piece.size > 600_000);
  assert.ok(large !== undefined);
  const file = await open(path, 'r+');
  await file.write(Buffer.from([1, 2, 3]), 0, 3, bundle.positions.get(pieceName(large)) ?? 0);
  await file.close();
  await refused(checkAllPieces(bundle), 'bundle-altered');
  await bundle.file.close();
});

test('bytes after the end are refused', async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  await writeTestBundle(path);
  const { length } = await readFile(path);
  await truncate(path, length + 1);
  await assert.rejects(checkAll(path), {
    code: 'bundle-trailing-data',
    detail: /^the file has \d+ bytes; the manifest lists \d+$/,
  });
});

for (const [what, spoil, code, detail] of [
  ['a missing piece', (p: readonly string[]) => p.slice(0, -1), 'bundle-malformed', /header of nar/],
  [
    'a missing narinfo',
    (p: readonly string[]) => p.filter((n) => n !== narinfo('d')),
    'bundle-malformed',
    /header of d/,
  ],
  [
    'a narinfo twice',
    (p: readonly string[]) => p.toSpliced(5, 0, narinfo('c')),
    'bundle-malformed',
    /header of d/,
  ],
  [
    'members in another order',
    (p: readonly string[]) => p.toSpliced(5, 2, narinfo('d'), narinfo('c')),
    'bundle-malformed',
    /header of c/,
  ],
  [
    'no nix.sig',
    (p: readonly string[]) => p.toSpliced(1, 1),
    'bundle-malformed',
    /nix\.sig is not where it belongs/,
  ],
  [
    'no contents',
    (p: readonly string[]) => p.toSpliced(2, 1),
    'bundle-malformed',
    /contents is not where it belongs/,
  ],
  [
    'no index',
    (p: readonly string[]) => p.slice(1),
    'bundle-malformed',
    /the signatures are not followed by the index/,
  ],
] as const)
  test(`${what}: refused, although manifest and index are as they were signed`, async (t) => {
    const path = join(await temporaryFolder(t), 'web.tar');
    await writeTestBundle(path);
    const apart = await takeApart(path);
    const names = spoil(apart.members.map((m) => m.name));
    const members = names.map((name) => ({ name, bytes: bytesOf(apart, name) }));
    const whole = assemble({ ...apart, members });
    const trust = makeTrustSet([pair.public], 1);
    await assert.rejects(openFromMemory(whole, trust), (error: unknown) => {
      assert.ok(error instanceof NixmakerError, String(error));
      assert.deepEqual([error.code, detail.test(error.detail)], [code, true], error.message);
      return true;
    });
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
  await writeTestBundle(path);
  const names = ['manifest.json', 'manifest.sig', ...(await takeApart(path)).members.map((m) => m.name)];
  execFileSync('tar', ['-xf', path, '-C', folder]);
  execFileSync('tar', ['--format=ustar', '-cf', join(folder, 'again.tar'), '-C', folder, ...names]);
  await refused(checkAll(join(folder, 'again.tar')), 'not-a-bundle');
});
