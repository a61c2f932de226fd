/** NARs from pieces that anybody can have made: what was signed comes out whole, and nothing else does. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import type { PieceReader } from '../../src/bundle/contents.ts';
import { NarReader } from '../../src/bundle/nar-reader.ts';
import { atOnceBytes } from '../../src/bundle/zstd.ts';
import { NixmakerError, type ReasonCode } from '../../src/core/errors.ts';
import { pieceName } from '../../src/core/release/contents-file.ts';
import type { PathInfo } from '../../src/core/release/path-info.ts';
import {
  bytesOf,
  deltaPiece,
  type MadePiece,
  narOfFile,
  nix32Of,
  piecesInMemory,
  wholePiece,
} from '../support/bundles.ts';
import { storePathOf } from '../support/releases.ts';

const infoOf = (nar: Buffer, n = 1): PathInfo => ({
  path: storePathOf(n),
  narHash: `sha256:${nix32Of(nar)}`,
  narSize: nar.length,
  references: [],
});

interface Given {
  readonly info: PathInfo;
  readonly made: MadePiece;
  /** What the medium holds under the piece’s name, if it is something else. */
  readonly there?: Buffer;
  readonly base?: Buffer;
}

/** All that is given before it ends or fails. */
async function read({ info, made, there = made.bytes, base }: Given) {
  const nars = new NarReader(piecesInMemory(new Map([[pieceName(made.piece), there]])), (path) => {
    assert.ok(base !== undefined, `${path} was not to be read`);
    return bytesOf(base);
  });
  const chunks: Buffer[] = [];
  let error: unknown;
  try {
    for await (const chunk of nars.read(info, made.piece)) chunks.push(Buffer.from(chunk));
  } catch (thrown) {
    error = thrown;
  }
  return { bytes: Buffer.concat(chunks), error, pieces: chunks.length };
}

async function refused(given: Given, code: ReasonCode, detail: RegExp): Promise<void> {
  const { bytes, error } = await read(given);
  assert.ok(error instanceof NixmakerError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.detail, detail);
  assert.ok(bytes.length < given.info.narSize, 'the last chunk was given');
}

/** One that is read at one go, one that is read as a stream. */
const small = narOfFile(randomBytes(3000));
const large = narOfFile(Buffer.concat([randomBytes(1_000_000), Buffer.alloc(atOnceBytes + 1_000_000, 'x')]));
/** Of the same size as `large`. */
const otherLarge = narOfFile(
  Buffer.concat([randomBytes(1_000_000), Buffer.alloc(atOnceBytes + 1_000_000, 'y')]),
);

for (const [what, nar] of [
  ['a small NAR', small],
  ['a large NAR', large],
] as const) {
  const info = infoOf(nar);
  const genuine = wholePiece(0, zstdCompressSync(nar));
  /** A frame whose window is larger than the NAR would need. */
  const framed = (windowLog: number) => {
    const params = { [constants.ZSTD_c_windowLog]: windowLog, [constants.ZSTD_c_contentSizeFlag]: 0 };
    return wholePiece(0, zstdCompressSync(nar, { params }));
  };

  test(`${what} is given as it was signed`, async () => {
    const { bytes, error } = await read({ info, made: genuine });
    assert.equal(error, undefined);
    assert.ok(bytes.equals(nar));
  });

  test(`${what}: a piece that is damaged is told as that, whatever comes of it`, async () => {
    const turned = Buffer.from(genuine.bytes);
    turned.writeUInt8(turned.readUInt8(turned.length >> 1) ^ 1, turned.length >> 1);
    await refused({ info, made: genuine, there: turned }, 'bundle-altered', /^nar\/.* is damaged$/);
  });

  test(`${what}: a medium that ends within the piece is told as that`, async () => {
    const there = genuine.bytes.subarray(0, -1);
    await refused({ info, made: genuine, there }, 'bundle-truncated', /^the bundle ends inside nar\//);
  });

  test(`${what}: contents that name a genuine, intact file of another path are told as a lie`, async () => {
    const other = nar === large ? otherLarge : narOfFile(randomBytes(3000));
    assert.equal(other.length, nar.length);
    const made = wholePiece(0, zstdCompressSync(other));
    await refused(
      { info, made },
      'bundle-malformed',
      /^cannot use .* for .*: its contents are not what was signed/,
    );
  });

  test(`${what}: a piece that holds less, more, or no frame at all, is told as a lie`, async () => {
    for (const bytes of [
      zstdCompressSync(nar.subarray(0, -8)),
      zstdCompressSync(Buffer.alloc(0)),
      randomBytes(50),
    ])
      await refused({ info, made: wholePiece(0, bytes) }, 'bundle-malformed', /^cannot use .* for /);
    const longer = zstdCompressSync(Buffer.concat([nar, Buffer.alloc(8)]));
    await refused({ info, made: wholePiece(0, longer) }, 'bundle-malformed', /^cannot use .* for /);
  });

  test(`${what}: what stands behind the frame is not looked at, for the NAR alone decides`, async () => {
    for (const more of [randomBytes(50), Buffer.alloc(600), zstdCompressSync(Buffer.alloc(8))]) {
      const made = wholePiece(0, Buffer.concat([genuine.bytes, more]));
      const { bytes, error } = await read({ info, made });
      assert.equal(error, undefined);
      assert.ok(bytes.equals(nar));
    }
  });

  test(`${what}: a piece that unfolds without end is left where it is too much`, async () => {
    const params = { [constants.ZSTD_c_windowLog]: 20 };
    const bomb = wholePiece(0, zstdCompressSync(Buffer.alloc(256 * 1024 * 1024), { params }));
    assert.ok(bomb.bytes.length < 100_000);
    const { bytes } = await read({ info, made: bomb });
    assert.ok(bytes.length < nar.length);
    await refused({ info, made: bomb }, 'bundle-malformed', /^cannot use .* for /);
  });

  test(`${what}: a window beyond 8 MiB is refused, and one of 8 MiB is not`, async () => {
    const made = framed(23);
    if (nar === large) assert.ok(made.bytes.readUInt8(5) >> 3 === 13, 'a window of 8 MiB');
    assert.ok((await read({ info, made })).bytes.equals(nar));
    // RFC 8878, 3.1.1.1.2: the exponent is in the upper five bits.
    const wide = Buffer.from(made.bytes);
    wide.writeUInt8((24 - 10) << 3, 5);
    assert.equal(wide.readUInt8(4) & 0b1110_0000, 0, 'a window descriptor, and no size of the contents');
    await refused({ info, made: wholePiece(0, wide) }, 'bundle-malformed', /Frame requires too much memory/);
  });
}

const base = randomBytes(200_000);
const target = narOfFile(Buffer.concat([base.subarray(0, 90_000), randomBytes(100), base.subarray(90_000)]));
const baseOf = (bytes: Buffer) => ({ base: storePathOf(9), baseNarHash: nix32Of(bytes) });
const patch = zstdCompressSync(target, { dictionary: base });

test('a difference to what is there gives what was signed', async () => {
  const made = deltaPiece(0, patch, baseOf(base));
  assert.ok(made.bytes.length < 1000);
  assert.ok((await read({ info: infoOf(target), made, base })).bytes.equals(target));
});

test('a base that holds something else is told as missing; nothing is restored from it', async () => {
  const made = deltaPiece(0, patch, baseOf(base));
  for (const other of [randomBytes(200_000), base.subarray(1), Buffer.concat([base, base]), Buffer.alloc(0)])
    await refused(
      { info: infoOf(target), made, base: other },
      'base-missing',
      /its contents are not what the bundle builds on/,
    );
});

test('a difference that gives another path’s contents is a lie, one that was damaged is not', async () => {
  const info = infoOf(target);
  const elsewhere = deltaPiece(
    0,
    zstdCompressSync(Buffer.from(target).reverse(), { dictionary: base }),
    baseOf(base),
  );
  await refused({ info, made: elsewhere, base }, 'bundle-malformed', /its contents are not what was signed/);
  const made = deltaPiece(0, patch, baseOf(base));
  const there = Buffer.from(patch);
  there.writeUInt8(there.readUInt8(40) ^ 1, 40);
  await refused({ info, made, there, base }, 'bundle-altered', /^delta\/.* is damaged$/);
});

test('a difference that unfolds without end is left where it is too much', async () => {
  const bomb = zstdCompressSync(Buffer.alloc(50_000_000), { dictionary: base });
  const made = deltaPiece(0, bomb, baseOf(base));
  await refused({ info: infoOf(target), made, base }, 'bundle-malformed', /^cannot use .* for /);
});

test('no piece, whatever it holds, gives another NAR whole', async () => {
  const good = zstdCompressSync(small);
  const edits = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 3 });
  const pieces = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.uint8Array({ maxLength: 5000, size: 'max' }).map((bytes) => zstdCompressSync(bytes)),
    edits.map((all) => {
      const bytes = Buffer.from(good);
      for (const [at, value] of all) bytes[at] = value;
      return bytes;
    }),
    fc.uint8Array({ maxLength: 20 }).map((more) => Buffer.concat([good, more])),
  );
  const info = infoOf(small);
  await fc.assert(
    fc.asyncProperty(pieces, async (bytes) => {
      const given = await read({ info, made: wholePiece(0, bytes) });
      if (given.error === undefined) return assert.ok(given.bytes.equals(small));
      assert.ok(
        given.error instanceof NixmakerError && given.error.code === 'bundle-malformed',
        String(given.error),
      );
      assert.equal(given.bytes.length, 0);
    }),
    { numRuns: 500 },
  );
});

for (const [what, nar] of [
  ['a small NAR', small],
  ['a large NAR', large],
] as const)
  for (const kind of ['whole', 'a difference'] as const)
    test(`a medium that fails in the middle of ${what}, ${kind}, fails as itself, and is asked no more`, async () => {
      const base = narOfFile(randomBytes(5000));
      const made =
        kind === 'whole'
          ? wholePiece(0, zstdCompressSync(nar))
          : deltaPiece(0, zstdCompressSync(nar, { dictionary: base }), {
              base: storePathOf(2),
              baseNarHash: nix32Of(base),
            });
      // At once, and after the first chunk.
      for (const code of ['medium-unreadable', 'medium-stalled'] as const)
        for (const good of nar === large ? [0, 1] : [0]) {
          let asked = 0;
          const intact = piecesInMemory(new Map([[pieceName(made.piece), made.bytes]]));
          // Once: it would answer well if it was asked again, to find out whether the piece is damaged.
          const failing: PieceReader = {
            readInto: (...args) => {
              asked += 1;
              if (asked === good + 1) throw new NixmakerError(code, 'it was pulled out');
              return intact.readInto(...args);
            },
          };
          const reading = new NarReader(failing, () => bytesOf(base)).read(infoOf(nar), made.piece);
          const toItsEnd = async () => {
            for await (const chunk of reading) assert.ok(chunk.length > 0);
          };
          await assert.rejects(toItsEnd(), { code, detail: 'it was pulled out' });
          assert.equal(asked, good + 1);
        }
    });

test('what is small comes at once, what is large in pieces', async () => {
  const medium = narOfFile(Buffer.alloc(atOnceBytes / 2));
  for (const [nar, isAtOnce] of [
    [medium, true],
    [large, false],
  ] as const) {
    const { pieces, error } = await read({ info: infoOf(nar), made: wholePiece(0, zstdCompressSync(nar)) });
    assert.equal(error, undefined);
    assert.equal(pieces === 1, isAtOnce, `${pieces}`);
  }
});
