/** NARs of our own writing against Nix’s, and NARs restored from others. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { restoreNar } from '../../src/bundle/delta.ts';
import { atOnceBytes } from '../../src/bundle/zstd.ts';
import { NixmakerError, type ReasonCode } from '../../src/core/errors.ts';
import { limits } from '../../src/core/limits.ts';
import { encodeNix32 } from '../../src/core/nix32.ts';
import { narOf } from '../../src/nix/nar.ts';
import { run } from '../machines/program.ts';
import { deltaPiece, nix32Of, temporaryFolder } from '../support/bundles.ts';
import { digits, storePathOf } from '../support/releases.ts';

interface Tree {
  readonly [name: string]: Tree | { readonly bytes: Uint8Array; readonly executable: boolean } | string;
}

const name = fc
  .oneof(
    fc.stringMatching(/^[a-zA-Z0-9._+ -]{1,20}$/),
    fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }),
  )
  .filter((text) => !['.', '..'].includes(text) && !/[/\0]/.test(text) && Buffer.from(text).length < 200);
const { tree } = fc.letrec<{ tree: Tree; node: Tree[string] }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small' },
    fc.record({ bytes: fc.uint8Array({ maxLength: 100 }), executable: fc.boolean() }),
    fc.stringMatching(/^[a-z/.]{1,20}$/),
    tie('tree'),
  ),
  tree: fc.dictionary(name, tie('node'), { maxKeys: 5 }),
}));

async function lay(path: string, node: Tree[string]): Promise<void> {
  if (typeof node === 'string') return symlink(node, path);
  if (node.bytes instanceof Uint8Array) {
    await writeFile(path, node.bytes);
    return chmod(path, node.executable === true ? 0o555 : 0o444);
  }
  await mkdir(path);
  for (const [each, child] of Object.entries(node as Tree)) await lay(join(path, each), child);
}

async function hashOf(nar: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of nar) hash.update(chunk);
  return encodeNix32(hash.digest());
}

test('the NAR of any tree is the one that Nix makes of it', async (t) => {
  const folder = await temporaryFolder(t);
  let count = 0;
  await fc.assert(
    fc.asyncProperty(tree, async (root) => {
      count += 1;
      const path = join(folder, String(count));
      await lay(path, root);
      const ran = await run('nix-hash', ['--type', 'sha256', '--base32', path]);
      assert.equal(ran.code, 0, ran.stderr);
      assert.equal(await hashOf(narOf(path)), ran.stdout.trim());
    }),
    { numRuns: 40 },
  );
  const large = join(folder, 'large');
  await writeFile(large, randomBytes(3_000_001));
  assert.equal(
    await hashOf(narOf(large)),
    (await run('nix-hash', ['--type', 'sha256', '--base32', large])).stdout.trim(),
  );
});

async function* stream(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000);
}

const inParts = (bytes: Buffer) => ({ size: bytes.length, chunks: stream(bytes) });

function pair(base: Buffer, target: Buffer) {
  const patch = zstdCompressSync(target, {
    dictionary: base,
    params: { [constants.ZSTD_c_compressionLevel]: 6 },
  });
  const { piece } = deltaPiece(0, patch, { base: storePathOf(1), baseNarHash: nix32Of(base) });
  /** What it gives, whatever that is: whether it is what was signed, its reader sees to (nar-reader.test.ts). */
  const restore = async (given: Readonly<Record<'base' | 'patch', Buffer>> = { base, patch }) => {
    const chunks: Buffer[] = [];
    const sources = { base: inParts(given.base), patch: inParts(given.patch) };
    for await (const chunk of restoreNar({ piece, narSize: target.length }, sources)) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  return { patch, restore };
}

const rejects = (work: Promise<unknown>, code: ReasonCode) =>
  assert.rejects(work, (error: unknown) => error instanceof NixmakerError && error.code === code);

test('what was made from a base is restored from it, whatever both hold', async () => {
  const edit = fc.record({ at: fc.nat(), bytes: fc.uint8Array({ maxLength: 50 }) });
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 100_000, size: 'max' }),
      fc.array(edit),
      async (bytes, edits) => {
        const base = Buffer.from(bytes);
        const target = edits.reduce((whole, { at, bytes: patch }) => {
          const place = at % (whole.length + 1);
          return Buffer.concat([whole.subarray(0, place), patch, whole.subarray(place + (at % 7))]);
        }, base);
        assert.deepEqual(await pair(base, target).restore(), target);
      },
    ),
    { numRuns: 60 },
  );
});

test('what is large comes in pieces, whatever of both it is; what is small comes at once', async () => {
  const piecesOf = async (narSize: number, size: number) => {
    const base = randomBytes(1000);
    const target = Buffer.alloc(narSize, 1);
    const { piece } = deltaPiece(0, Buffer.alloc(0), { base: storePathOf(1), baseNarHash: nix32Of(base) });
    const chunks = stream(zstdCompressSync(target, { dictionary: base }));
    let pieces = 0;
    for await (const _ of restoreNar({ piece, narSize }, { base: inParts(base), patch: { size, chunks } }))
      pieces += 1;
    return pieces;
  };
  assert.equal(await piecesOf(atOnceBytes, 2000), 1);
  assert.ok((await piecesOf(atOnceBytes + 1, 2000)) > 1, 'a NAR that would be held whole');
  assert.ok((await piecesOf(atOnceBytes, atOnceBytes + 1)) > 1, 'a delta that would be');
});

test('another base, a turned bit, a frame cut off, or one that never ends: nothing of it passes for the target', async () => {
  const base = randomBytes(200_000);
  const target = Buffer.concat([base.subarray(0, 100_000), randomBytes(100), base.subarray(100_000)]);
  const { restore, patch } = pair(base, target);
  assert.ok(patch.length < 1000);
  assert.deepEqual(await restore(), target);
  await rejects(restore({ base: randomBytes(200_000), patch }), 'base-missing');
  await rejects(restore({ base: base.subarray(1), patch }), 'base-missing');
  const other = (wrong: Buffer) =>
    restore({ base, patch: wrong }).then(
      (bytes) => assert.ok(!bytes.equals(target) && bytes.length <= target.length + 1),
      (error: unknown) => assert.ok(!(error instanceof NixmakerError), 'zlib’s own, for its reader to tell'),
    );
  for (let at = 0; at < patch.length; at += 7) {
    const turned = Buffer.from(patch);
    turned.writeUInt8(turned.readUInt8(at) ^ 1, at);
    await other(turned);
  }
  await other(patch.subarray(0, -20));
  await other(zstdCompressSync(Buffer.alloc(50_000_000), { dictionary: base }));
  await other(randomBytes(100));
});

test('a base beyond what is held in memory, or that does not end, is told as missing and not read to its end', async () => {
  let given = 0;
  async function* endless(): AsyncGenerator<Buffer> {
    for (; ; given += 1024 * 1024) yield Buffer.alloc(1024 * 1024);
  }
  const { piece } = deltaPiece(0, Buffer.from('x'), { base: storePathOf(1), baseNarHash: digits(1, 52) });
  for (const [size, most] of [
    [limits.deltaNarBytes + 1, 0],
    [3 * 1024 * 1024 - 1, 3 * 1024 * 1024],
  ] as const) {
    given = 0;
    const sources = { base: { size, chunks: endless() }, patch: inParts(Buffer.from('x')) };
    await rejects(restoreNar({ piece, narSize: 5 }, sources).next(), 'base-missing');
    assert.ok(given <= most, `${given}`);
  }
});

test('what the zstd program makes of large files is restored as well', async (t) => {
  const folder = await temporaryFolder(t);
  const base = randomBytes(6_000_000);
  const target = Buffer.concat([randomBytes(10), base.subarray(1_000_000), base.subarray(0, 900_000)]);
  await writeFile(join(folder, 'base'), base);
  await writeFile(join(folder, 'target'), target);
  const args = [`--patch-from=${join(folder, 'base')}`, join(folder, 'target'), '-o', join(folder, 'patch')];
  const ran = await run('zstd', ['-q', ...args]);
  assert.equal(ran.code, 0, ran.stderr);
  const { readFile } = await import('node:fs/promises');
  const patch = await readFile(join(folder, 'patch'));
  assert.ok(patch.length < 10_000, String(patch.length));
  assert.deepEqual(await pair(base, target).restore({ base, patch }), target);
});

test('a base that goes while it is read is missing, and one that can’t be read is this machine’s trouble', async () => {
  async function* failing(code: string): AsyncGenerator<Buffer> {
    yield Buffer.alloc(10);
    throw Object.assign(new Error(code), { code, syscall: 'read' });
  }
  const { piece } = deltaPiece(0, Buffer.from('x'), { base: storePathOf(1), baseNarHash: digits(1, 52) });
  for (const [errno, code] of [
    ['ENOENT', 'base-missing'],
    ['EIO', 'io-error'],
  ] as const) {
    const sources = { base: { size: 20, chunks: failing(errno) }, patch: inParts(Buffer.from('x')) };
    await rejects(restoreNar({ piece, narSize: 5 }, sources).next(), code);
  }
});
