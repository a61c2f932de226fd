import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NixmakerError } from '../../../src/core/errors.ts';
import { limits } from '../../../src/core/limits.ts';
import type { ReleaseIndex } from '../../../src/core/release/index-file.ts';
import {
  encodeKeyBlock,
  mergeNixSignatures,
  NixSignatures,
} from '../../../src/core/release/nix-signatures.ts';
import { digits, indexedPath, indexOf, largeClosure } from '../../support/releases.ts';

const ca = `text:sha256:${digits(1, 52)}`;
/** Lines 0 and 2 need a signature, line 1 none. */
const index = indexOf([indexedPath(1), indexedPath(2, [], { ca }), indexedPath(3, [1, 2])]);

/** What stands for a key’s signature of a line: 64 bytes that are like no other’s. */
const signatureOf = (name: string, line: number) => {
  const bytes = Buffer.alloc(64, name);
  bytes.writeUInt32BE(line, 0);
  return `${name}:${bytes.toString('base64')}`;
};
const blockOf = (name: string, of: ReleaseIndex = index) =>
  encodeKeyBlock(of, name, (line) => signatureOf(name, line));
const read = (text: string, of: ReleaseIndex = index) => NixSignatures.parse(Buffer.from(text), of);

test('what is written is read back: for each key one signature for each line that needs one', () => {
  const signatures = read(blockOf('one-1') + blockOf('two-1'));
  assert.deepEqual(signatures.keyNames, ['one-1', 'two-1']);
  assert.deepEqual(signatures.of(0), [signatureOf('one-1', 0), signatureOf('two-1', 0)]);
  assert.deepEqual(signatures.of(1), [], 'Nix takes it as it is');
  assert.deepEqual(signatures.of(2), [signatureOf('one-1', 2), signatureOf('two-1', 2)]);
  assert.equal(signatures.blockOf('two-1'), blockOf('two-1'));
  assert.equal(signatures.blockOf('three-1'), undefined);
});

test('there may be none', () => {
  const signatures = read('');
  assert.deepEqual([signatures.keyNames, signatures.of(0), signatures.of(2)], [[], [], []]);
});

test('where no path needs one, a key’s block is its name', () => {
  const texts = indexOf([indexedPath(1, [], { ca })]);
  assert.equal(blockOf('one-1', texts), 'one-1\n');
  assert.deepEqual(read('one-1\ntwo-1\n', texts).keyNames, ['one-1', 'two-1']);
});

const good = blockOf('one-1');
const [, first = '', second = ''] = good.split('\n');
for (const [what, text, detail] of [
  ['no newline at the end', good.slice(0, -1), /not have exactly one signature for each path/],
  ['a name without a newline', 'one-1', /does not begin with a new key name/],
  ['an empty line', `\n${good}`, /does not begin with a new key name/],
  ['a name that is none', good.replace('one-1', 'one 1'), /does not begin with a new key name/],
  [
    'a line too few',
    `one-1\n${first}\n`,
    /the block for “one-1” does not have exactly one signature for each path/,
  ],
  ['a line too many', `${good}${second}\n`, /does not begin with a new key name/],
  ['two blocks of one name', good + good, /does not begin with a new key name/],
  [
    'a letter that is not base64',
    good.replace(first, `-${first.slice(1)}`),
    /not have exactly one signature for each path/,
  ],
  ['white space', good.replace(first, ` ${first.slice(1)}`), /not have exactly one signature for each path/],
  [
    'no padding',
    good.replace(first, `${first.slice(0, -2)}AA`),
    /not have exactly one signature for each path/,
  ],
  ['bits that say nothing', good.replace(/.==/, 'B=='), /not have exactly one signature for each path/],
  ['carriage returns', good.replaceAll('\n', '\r\n'), /does not begin with a new key name/],
  [
    'a line in two',
    good.replace(first, `${first.slice(0, 40)}\n${first.slice(40)}`),
    /not have exactly one signature/,
  ],
  [
    'the name before each signature',
    good.replaceAll(/^(?=.{88}$)/gm, 'one-1:'),
    /not have exactly one signature/,
  ],
  ['a byte order mark', `\ufeff${good}`, /does not begin with a new key name/],
  ['bytes that are no text', Buffer.from(good, 'latin1').fill(0xff, 10, 11).toString('latin1'), /signature/],
] as const)
  test(`${what}: nix.sig is refused`, () => {
    assert.notEqual(text, good);
    assert.throws(
      () => NixSignatures.parse(Buffer.from(text, 'latin1'), index),
      (error: unknown) =>
        error instanceof NixmakerError && error.code === 'bundle-malformed' && detail.test(error.detail),
    );
  });

test('64 keys are read and one more is refused, also where a key is nothing but its name', () => {
  const texts = indexOf([indexedPath(1, [], { ca })]);
  for (const given of [index, texts]) {
    const blocks = Array.from({ length: 65 }, (_, n) => blockOf(`key-${n}`, given));
    assert.equal(read(blocks.slice(0, 64).join(''), given).keyNames.length, 64);
    assert.throws(() => read(blocks.join(''), given), /bundle-malformed: nix\.sig: it has more than 64 keys/);
  }
});

test('more bytes than are read are refused unseen', () => {
  assert.throws(
    () => NixSignatures.parse(Buffer.alloc(limits.nixSignatureBytes + 1, 'x'), index),
    /nix\.sig: it has \d+ bytes; the limit is/,
  );
});

test('three keys for every line of the largest index are read', () => {
  const large = indexOf(largeClosure(limits.lines, { nameLength: 1, references: 1 }));
  const signature = Buffer.alloc(64, 7).toString('base64');
  const names = ['one-1', 'two-1', 'three-1'];
  const signatures = read(
    names.map((name) => `${name}\n${`${signature}\n`.repeat(limits.lines)}`).join(''),
    large,
  );
  assert.deepEqual(
    signatures.of(limits.lines - 1),
    names.map((name) => `${name}:${signature}`),
  );
});

/** Any mixture of lines that need a signature and lines that do not. */
const indexes = fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }).map((needs) => {
  const below = needs.map((need, n) => indexedPath(n, [], { ca: need ? '' : ca }));
  return indexOf([...below, indexedPath(100, [...needs.keys()])]);
});
const keyNames = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9.-]{0,8}-[0-9]$/), { maxLength: 5 });

test('any keys for any index: each line gets back its own, and the bytes are the blocks one after the other', () => {
  fc.assert(
    fc.property(indexes, keyNames, (of, names) => {
      const signatures = read(names.map((name) => blockOf(name, of)).join(''), of);
      for (let line = 0; line < of.length; line++)
        assert.deepEqual(
          signatures.of(line),
          of.isContentAddressed(line) ? [] : names.map((name) => signatureOf(name, line)),
        );
      assert.equal(
        names.map((name) => signatures.blockOf(name)).join(''),
        signatures.bytes.toString('latin1'),
      );
    }),
  );
});

test('merged are the keys of both, each once; of a key that is in both, what was added later', () => {
  fc.assert(
    fc.property(indexes, keyNames, keyNames, (of, before, added) => {
      const later = (name: string) => encodeKeyBlock(of, name, (line) => signatureOf(name, line + 1000));
      const merged = NixSignatures.parse(
        mergeNixSignatures(
          read(before.map((name) => blockOf(name, of)).join(''), of),
          read(added.map(later).join(''), of),
        ),
        of,
      );
      assert.deepEqual(merged.keyNames, [...new Set([...before, ...added])]);
      for (const name of merged.keyNames)
        assert.equal(merged.blockOf(name), added.includes(name) ? later(name) : blockOf(name, of));
    }),
  );
});

test('no change of bytes is taken for the same signatures, or makes the reader throw anything but a refusal', () => {
  const bytes = Buffer.from(blockOf('one-1') + blockOf('two-1'));
  const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), fc.nat(bytes.length), (changes, end) => {
      const changed = Buffer.from(bytes.subarray(0, end));
      for (const [at, value] of changes) if (at < end) changed[at] = value;
      try {
        const again = NixSignatures.parse(changed, index);
        // One value, one spelling: what was read gives these very bytes.
        const spelled = again.keyNames.map((name) =>
          encodeKeyBlock(index, name, (line) => {
            const text = again.of(line).find((s) => s.startsWith(`${name}:`)) ?? '';
            return `${name}:${Buffer.from(text.slice(name.length + 1), 'base64').toString('base64')}`;
          }),
        );
        assert.equal(spelled.join(''), changed.toString('latin1'));
      } catch (error) {
        assert.ok(error instanceof NixmakerError && error.code === 'bundle-malformed', String(error));
      }
    }),
    { numRuns: 500 },
  );
});
