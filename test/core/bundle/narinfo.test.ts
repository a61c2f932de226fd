/** What a binary cache says of a path, field by field: as Nix writes and reads it, and nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseNarinfo, plainNarinfo, renderNarinfo } from '../../../src/core/bundle/narinfo.ts';
import { differenceOf } from '../../../src/core/bundle/store-difference.ts';
import { limits } from '../../../src/core/limits.ts';
import { storePathOf } from '../../support/releases.ts';

const [path, reference, deriver] = [storePathOf(3), storePathOf(1), storePathOf(9, 'x.drv')];
const hash = `sha256:${'1'.repeat(52)}`;
const lines = [
  `StorePath: ${path}`,
  'URL: nar/x.nar.zst',
  'Compression: zstd',
  `FileHash: ${hash}`,
  'FileSize: 40',
  `NarHash: ${hash}`,
  'NarSize: 100',
  `References: ${reference.slice('/nix/store/'.length)} ${path.slice('/nix/store/'.length)}`,
  `Deriver: ${deriver.slice('/nix/store/'.length)}`,
  'Sig: a:AAAA',
  'Sig: b:BBBB',
  `CA: text:${hash}`,
];
const text = (all: readonly string[]) => `${all.join('\n')}\n`;

test('every field is read, and written again as it was', () => {
  const info = parseNarinfo(text(lines));
  assert.deepEqual(info, {
    path,
    url: 'nar/x.nar.zst',
    compression: 'zstd',
    fileHash: hash,
    fileSize: 40,
    narHash: hash,
    narSize: 100,
    references: [reference, path],
    deriver: deriver.slice('/nix/store/'.length),
    signatures: ['a:AAAA', 'b:BBBB'],
    ca: `text:${hash}`,
  });
  assert.equal(renderNarinfo(info), text(lines));
});

for (const name of [
  'StorePath',
  'URL',
  'Compression',
  'FileHash',
  'FileSize',
  'NarHash',
  'NarSize',
  'References',
])
  test(`without ${name}, or with it twice, it is none`, () => {
    const own = lines.filter((l) => l.startsWith(`${name}: `));
    assert.throws(() => parseNarinfo(text(lines.filter((l) => !own.includes(l)))), {
      code: 'bundle-malformed',
      detail: `malformed narinfo: ${name} is missing`,
    });
    assert.throws(() => parseNarinfo(text([...lines, ...own])), { detail: /unexpected line: / });
  });

for (const [what, from, to, detail] of [
  ['no path', lines[0], 'StorePath: /etc', /StorePath is not a store path/],
  ['a size with a zero before it', 'NarSize: 100', 'NarSize: 0100', /a size is not a number/],
  ['a size of a fraction', 'NarSize: 100', 'NarSize: 1.5', /a size is not a number/],
  ['a size beyond 2^53', 'FileSize: 40', 'FileSize: 9007199254740992', /a size is not a number/],
  ['no size', 'FileSize: 40', 'FileSize: ', /a size is not a number/],
  ['a reference that is none', lines[7], 'References: x', /References has an entry that is not a store path/],
  ['an unknown field', 'Compression: zstd', 'Compression: zstd\nSystem: x', /unexpected line: “System: x”/],
  ['a line without a name', 'Compression: zstd', 'Compression: zstd\nx', /unexpected line: “x”/],
  ['a line with no name', 'Compression: zstd', 'Compression: zstd\n: x', /unexpected line: “: x”/],
] as const)
  test(`with ${what} it is none`, () => {
    assert.throws(() => parseNarinfo(text(lines).replace(from as string, to)), {
      code: 'bundle-malformed',
      detail,
    });
  });

test('sizes at their bounds, and no references, are read', () => {
  const of = (from: string, to: string) => parseNarinfo(text(lines).replace(from, to));
  assert.equal(of('NarSize: 100', 'NarSize: 0').narSize, 0);
  assert.equal(of('NarSize: 100', 'NarSize: 9007199254740991').narSize, Number.MAX_SAFE_INTEGER);
  assert.deepEqual(of(lines[7] as string, 'References: ').references, []);
});

test('what is cut off, or longer than any is, is none', () => {
  assert.throws(() => parseNarinfo(lines.join('\n')), { detail: /cut off or too long/ });
  const long = `${text(lines)}Sig: `;
  const most = `${long}${'x'.repeat(limits.narinfoBytes - long.length - 1)}\n`;
  assert.equal(parseNarinfo(most).signatures.length, 3);
  assert.throws(() => parseNarinfo(most.replace('Sig: x', 'Sig: xx')), { detail: /cut off or too long/ });
});

test('of a NAR that is served as it is, file and NAR are one', () => {
  const info = { path, narHash: hash, narSize: 100, references: [reference] };
  const plain = { url: `nar/${'1'.repeat(52)}.nar`, compression: 'none', fileHash: hash, fileSize: 100 };
  assert.deepEqual(plainNarinfo(info), { ...info, ...plain, signatures: [] });
  assert.deepEqual(plainNarinfo({ ...info, ca: 'x' }, ['s']), {
    ...info,
    ...plain,
    ca: 'x',
    signatures: ['s'],
  });
});

test('a valid path differs by hash, size or references, whatever their order in the index', () => {
  const signed = { narHash: hash, narSize: 100, references: [path, reference] };
  const stored = { narHash: hash, narSize: 100, references: [reference, path].sort() };
  assert.equal(differenceOf(signed, stored), undefined);
  assert.equal(differenceOf(signed, { ...stored, narHash: `${hash.slice(0, -1)}2` }), 'its contents');
  assert.equal(differenceOf(signed, { ...stored, narSize: 101 }), 'its contents');
  for (const references of [
    [],
    [reference],
    [...stored.references, storePathOf(8)],
    [reference, storePathOf(8)],
  ])
    assert.equal(differenceOf(signed, { ...stored, references }), 'its references');
});

test('of a line that does not belong there the first sixty characters are told', () => {
  const line = `${'x'.repeat(59)}yz: 1`;
  assert.throws(() => parseNarinfo(text([...lines, line])), {
    detail: `malformed narinfo: unexpected line: “${'x'.repeat(59)}y”`,
  });
});
