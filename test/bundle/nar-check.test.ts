/** A compressed NAR as the desk checks it before it signs: what it is made of, or whose fault it is that it can’t be used. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { checkWholePiece, NarCheck } from '../../src/bundle/nar-check.ts';
import { atOnceBytes } from '../../src/bundle/zstd.ts';
import { pieceName } from '../../src/core/release/contents-file.ts';
import { narOfFile, nix32Of, piecesInMemory, wholePiece } from '../support/bundles.ts';

const expectedOf = (nar: Buffer) => ({ narHash: nix32Of(nar), narSize: nar.length });

function checked(compressed: Buffer, expected: { narHash: string; narSize: number }, there = compressed) {
  const { piece } = wholePiece(0, compressed);
  return checkWholePiece(piecesInMemory(new Map([[pieceName(piece), there]])), piece, expected);
}

const sizes = [
  ['a small one', 3000],
  ['one that another thread unpacks', 100_000],
  ['one that is read as a stream', atOnceBytes + 1_000_000],
] as const;

for (const [what, size] of sizes) {
  const contents = Buffer.concat([randomBytes(1000), Buffer.alloc(size - 1000, 'x')]);
  const nar = narOfFile(contents);
  const compressed = zstdCompressSync(nar);

  test(`${what} is counted`, async () => {
    assert.deepEqual(await checked(compressed, expectedOf(nar)), {
      files: 1,
      blocks: Math.ceil(size / 4096),
      expressions: 0,
    });
  });

  test(`${what} of another hash, or another size, can’t be used`, async () => {
    for (const expected of [
      { ...expectedOf(nar), narHash: nix32Of(Buffer.from('x')) },
      { ...expectedOf(nar), narSize: nar.length + 8 },
    ])
      await assert.rejects(checked(compressed, expected), {
        code: 'bundle-malformed',
        detail: /^cannot use nar\/.*: it does not unpack to the NAR .* of \d+ bytes$/,
      });
    await assert.rejects(checked(compressed, { ...expectedOf(nar), narSize: nar.length - 8 }), {
      code: 'bundle-malformed',
    });
  });

  test(`${what} that is damaged is told as that, and one that ends too early as that`, async () => {
    const turned = Buffer.from(compressed);
    turned.writeUInt8(turned.readUInt8(600) ^ 1, 600);
    await assert.rejects(checked(compressed, expectedOf(nar), turned), { code: 'bundle-altered' });
    await assert.rejects(checked(compressed, expectedOf(nar), compressed.subarray(1)), {
      code: 'bundle-truncated',
    });
  });

  test(`${what} of what is no NAR can’t be used, though all of its digests are as announced`, async () => {
    const none = Buffer.concat([nar.subarray(0, -8), Buffer.alloc(8, 1)]);
    await assert.rejects(checked(zstdCompressSync(none), expectedOf(none)), {
      code: 'bundle-malformed',
      detail: /^cannot use .*: it is not a NAR: /,
    });
  });
}

test('what is no frame can’t be used', async () => {
  const nar = narOfFile(Buffer.alloc(10));
  await assert.rejects(checked(randomBytes(50), expectedOf(nar)), {
    code: 'bundle-malformed',
    detail: /^cannot use /,
  });
});

test('the right NAR in other bytes than those announced is damage, whatever it gives', async () => {
  const nar = narOfFile(randomBytes(3000));
  const [compressed, other] = [
    zstdCompressSync(nar),
    Buffer.concat([zstdCompressSync(nar), Buffer.alloc(1)]),
  ];
  await assert.rejects(checked(other, expectedOf(nar), Buffer.concat([compressed, Buffer.alloc(1, 7)])), {
    code: 'bundle-altered',
  });
});

test('however it comes, a NAR is what it is; with a byte too few or too many it is another', () => {
  const nar = narOfFile(randomBytes(5000));
  const of = (...chunks: readonly Buffer[]) => {
    const check = new NarCheck(expectedOf(nar));
    for (const chunk of chunks) check.add(chunk);
    return check.end();
  };
  const count = { files: 1, blocks: 2, expressions: 0 };
  assert.deepEqual(of(nar), count);
  assert.deepEqual(of(nar.subarray(0, 7), nar.subarray(7, 4000), nar.subarray(4000)), count);
  assert.equal(of(nar, Buffer.alloc(1)), undefined);
  assert.equal(of(nar.subarray(0, -1)), undefined);
  assert.equal(of(Buffer.concat([nar, Buffer.alloc(1)])), undefined);
});
