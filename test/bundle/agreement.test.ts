/**
 * What narinfos, index, contents, manifest and store say of one path has to agree: one table, a field at a time, of a release that has
 * a path named after its inputs, a text, and a path named after its contents as a fixed output has them.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { authenticateBundle, openBundle } from '../../src/bundle/open.ts';
import { differenceOf } from '../../src/core/bundle/store-difference.ts';
import { NixmakerError } from '../../src/core/errors.ts';
import { ReleaseIndex } from '../../src/core/release/index-file.ts';
import { encodeIndex, type IndexedPath } from '../../src/core/release/write-index.ts';
import { checkEverything } from '../../src/desk/keys/verify.ts';
import { makeTrustSet, verifyManifest } from '../../src/signing/verify.ts';
import { memoryFile, openFromMemory } from '../fuzz/memory-file.ts';
import { type BundlePlan, pair, temporaryFolder, wholePiece, writeTestBundle } from '../support/bundles.ts';
import { assemble, bytesOf, type TakenApart, takeApart, withBytes } from '../support/forge.ts';
import type { Line, Way } from '../support/forge-release.ts';
import { digits, indexedPath, largeClosure } from '../support/releases.ts';

const trust = makeTrustSet([pair.public], 1);
const fixed = `fixed:r:sha256:${digits(9, 52)}`;

/** Lines 0 to 2: a fixed output, a text, the system. */
const sample: BundlePlan = {
  indexed: (paths) => paths.map((path, line) => (line === 0 ? { ...path, ca: fixed } : path)),
};

async function made(t: Parameters<typeof temporaryFolder>[0], plan: BundlePlan = sample) {
  const path = join(await temporaryFolder(t), 'web.tar');
  const release = await writeTestBundle(path, plan);
  return { path, release, apart: await takeApart(path) };
}

const open = (apart: TakenApart, name: string, bytes: Buffer | string) =>
  openFromMemory(assemble({ ...apart, members: withBytes(apart, name, bytes) }), trust);

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof NixmakerError) return `${error.code}: ${error.detail}`;
    throw error;
  }
  return 'taken';
}

type Edit = readonly [field: string, edit: (text: string) => string];
const set =
  (field: string, value: string) =>
  (text: string): string =>
    text.replace(new RegExp(`^${field}: .*$`, 'm'), `${field}: ${value}`);
const drop = (field: string) => (text: string) => text.replace(new RegExp(`^${field}: .*\n`, 'm'), '');
const add = (line: string) => (text: string) => `${text}${line}\n`;
const other = `sha256:${digits(5, 52)}`;

/** Fields of any narinfo. */
const ofAll: readonly Edit[] = [
  ['StorePath', (text) => text.replace(/^(StorePath: \/nix\/store\/)./m, '$10')],
  ['the name in StorePath', (text) => text.replace(/^(StorePath: .*).$/m, '$1x')],
  ['URL', set('URL', 'nar/other.nar.zst')],
  ['Compression', set('Compression', 'none')],
  ['FileHash', set('FileHash', other)],
  ['FileSize', set('FileSize', '1')],
  ['NarHash', set('NarHash', other)],
  ['NarSize', set('NarSize', '1')],
  ['Deriver', add('Deriver: x.drv')],
  ['a reference more', (text) => text.replace(/^(References:.*)$/m, `$1 ${digits(1, 32)}-x`)],
  ['a signature more', add(`Sig: test-1:${'A'.repeat(86)}==`)],
  ['nothing but a newline more', (text) => `${text}\n`],
];
const narinfos: readonly (readonly [what: string, letter: string, edits: readonly Edit[]])[] = [
  ['a fixed output', 'c', [...ofAll, ['CA', set('CA', `fixed:r:${other}`)], ['no CA', drop('CA')]]],
  [
    'a text',
    'd',
    [...ofAll, ['CA', set('CA', `text:${other}`)], ['its kind', set('CA', fixed)], ['no CA', drop('CA')]],
  ],
  [
    'a path named after its inputs',
    'b',
    [
      ...ofAll,
      ['a CA', add(`CA: ${fixed}`)],
      ['no signature', drop('Sig')],
      ['a reference less', (text) => text.replace(/^(References:.*) \S+$/m, '$1')],
      ['the signature twice', (text) => text.replace(/^(Sig: .*\n)/m, '$1$1')],
      ['another’s signature', (text) => text.replace(/^Sig: [^:]*/m, 'Sig: other-1')],
    ],
  ],
];

for (const [what, letter, edits] of narinfos)
  test(`the narinfo of ${what} says in every field what index, contents and signatures say`, async (t) => {
    const { apart } = await made(t);
    await openFromMemory(apart.whole, trust);
    const name = `${letter.repeat(32)}.narinfo`;
    const text = bytesOf(apart, name).toString();
    for (const [field, edit] of edits) {
      assert.notEqual(edit(text), text, field);
      assert.match(
        await refusal(open(apart, name, edit(text))),
        new RegExp(`^bundle-malformed: (the header of )?${name} does not match the manifest$`),
        field,
      );
    }
  });

test('a signed index says in every field what the carried NARs are', async (t) => {
  const cases: readonly (readonly [string, Partial<IndexedPath>, RegExp])[] = [
    ['nothing', {}, /^taken$/],
    ['narHash', { narHash: digits(5, 52) }, /^bundle-malformed: .*it does not unpack to the NAR/],
    [
      'narSize, more',
      { narSize: 3137 },
      /^bundle-malformed: .*it does not unpack to the NAR .* of 3137 bytes/,
    ],
    ['narSize, less', { narSize: 3111 }, /^bundle-malformed: .*(does not unpack to the NAR|larger than)/],
    ['files', { files: 2 }, /^manifest-malformed: .*files/],
    ['blocks', { blocks: 2 }, /^manifest-malformed: .*blocks/],
  ];
  for (const [field, change, why] of cases) {
    const indexed = (paths: readonly IndexedPath[]) =>
      paths.map((path, line) => (line === 0 ? { ...path, ca: fixed, ...change } : path));
    const { path } = await made(t, { indexed });
    const authenticate = (head: { manifestBytes: Uint8Array; signatureBytes: Uint8Array }) =>
      verifyManifest(head.manifestBytes, head.signatureBytes, trust);
    assert.match(await refusal(checkEverything(path, authenticate)), why, field);
  }
});

test('contents say in every field what the pieces are, and of which line', async (t) => {
  const { apart } = await made(t);
  const rows = bytesOf(apart, 'contents').toString().trimEnd().split('\n');
  const way = JSON.parse(rows[1] ?? '') as Way;
  const changed = (...more: Way) => [rows[0], JSON.stringify(more), ...rows.slice(2), ''].join('\n');
  const [line, kind, size, digest] = way;
  assert.equal(await refusal(open(apart, 'contents', changed(line, kind, size, digest))), 'taken');
  const base = ['0'.repeat(32).concat('-base'), digits(1, 52)];
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['line', changed(1, kind, size, digest), /header of d{32}\.narinfo does not match the manifest/],
    ['no line', changed(7, kind, size, digest), /the index has no such line/],
    ['kind', changed(line, 'other', size, digest), /its kind is unknown/],
    ['kind, without a base', changed(line, 'delta', size, digest), /it has the wrong fields/],
    [
      'kind, with a base',
      changed(line, 'delta', size, digest, ...base),
      /header of d{32}\.narinfo does not match the manifest/,
    ],
    ['size', changed(line, kind, Number(size) + 1, digest), /narinfo does not match the manifest/],
    ['no size', changed(line, kind, 0, digest), /its size is invalid/],
    ['digest', changed(line, kind, size, digits(5, 52)), /narinfo does not match the manifest/],
    ['no digest', changed(line, kind, size, 'e'.repeat(52)), /its digest is invalid/],
    ['base', changed(line, 'delta', size, digest, 'x', digits(1, 52)), /its base is not a store path/],
    ['hash of the base', changed(line, 'delta', size, digest, base[0], 'x'), /its base’s hash is invalid/],
  ];
  for (const [field, contents, why] of cases) {
    const said = await refusal(open(apart, 'contents', contents));
    assert.match(said, /^bundle-malformed: /, field);
    assert.match(said, why, field);
  }
});

test('a path in the store is the signed one in every field that Nix keeps of it', () => {
  const signed = { narHash: other, narSize: 7, references: ['/nix/store/b', '/nix/store/a'] } as never;
  const stored = { narHash: other, narSize: 7, references: ['/nix/store/a', '/nix/store/b'] };
  assert.equal(differenceOf(signed, stored), undefined, 'the order does not count');
  for (const [change, what] of [
    [{ narHash: `sha256:${digits(6, 52)}` }, 'its contents'],
    [{ narSize: 8 }, 'its contents'],
    [{ references: ['/nix/store/a'] }, 'its references'],
    [{ references: [] }, 'its references'],
    [{ references: ['/nix/store/a', '/nix/store/c'] }, 'its references'],
    [{ references: ['/nix/store/a', '/nix/store/b', '/nix/store/c'] }, 'its references'],
  ] as const)
    assert.equal(differenceOf(signed, { ...stored, ...change }), what, JSON.stringify(change));
});

test('what is signed twice is refused: a path, one with its hash, a reference', () => {
  const [low, high] = [indexedPath(1), indexedPath(2, [1])];
  const root = indexedPath(3, [1, 2]);
  const lines = encodeIndex([low, high, root], root.path)
    .text.trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as Line);
  const [first, second, last] = lines as [Line, Line, Line];
  const parse = (...all: readonly Line[]) =>
    ReleaseIndex.parse(Buffer.from(all.map((l) => `${JSON.stringify(l)}\n`).join('')), root.path);
  assert.equal(parse(first, second, last).length, 3);
  const sibling = first.with(0, `${first[0]}-b`) as Line;
  const deeper = first.with(5, [0]) as Line;
  const refers = (...references: number[]) => last.with(5, references) as Line;
  for (const [what, all, why] of [
    [
      'the same line',
      [first, first, second.with(5, [0]) as Line, refers(0, 1, 2)],
      /out of order or a duplicate/,
    ],
    ['another depth', [first, deeper, refers(0, 1)], /another line has the same path/],
    [
      'another name',
      [first, sibling, second, refers(0, 1, 2)],
      /another line has the same path or hash part/,
    ],
    ['a reference', [first, second, refers(0, 0, 1)], /not ascending numbers of earlier lines/],
    ['the root', [first, second, last, refers(0, 1, 2)], /another line has the same path/],
  ] as const)
    assert.throws(() => parse(...all), { code: 'manifest-malformed', detail: why }, what);
});

test('more members than one read holds: each is looked at, wherever a read ends', async (t) => {
  const count = 400;
  const paths = largeClosure(count, { perLayer: 50 });
  const { apart } = await made(t, {
    indexed: () => paths,
    manifest: { toplevel: paths.at(-1)?.path ?? '' },
    pieces: () =>
      Array.from({ length: count }, (_, line) =>
        wholePiece(line, zstdCompressSync(Buffer.from(`piece ${line}`))),
      ),
  });
  const narinfos = apart.members.filter(({ name }) => name.endsWith('.narinfo'));
  // The window of src/bundle/layout.ts.
  const bytes = narinfos.reduce((sum, part) => sum + 512 + Math.ceil(part.bytes.length / 512) * 512, 0);
  assert.ok(narinfos.length === count && bytes > 4 * 64 * 1024);
  const opened = async (whole: Buffer) => {
    const file = memoryFile(whole);
    const authenticated = await authenticateBundle(file, (head) =>
      verifyManifest(head.manifestBytes, head.signatureBytes, trust),
    );
    return openBundle(file, authenticated);
  };
  assert.equal((await opened(apart.whole)).index.length, count);
  for (const { name } of narinfos.filter((_, n) => n % 7 === 0 || n === count - 1)) {
    const at = apart.whole.indexOf(`${name}\0`);
    const end = at + 512 + bytesOf(apart, name).length;
    for (const [place, position] of [
      ['its header', at],
      ['its last byte', end - 2],
      ['what follows it', end % 512 === 0 ? end - 1 : end],
    ] as const) {
      const whole = Buffer.from(apart.whole);
      whole[position] = (whole[position] ?? 0) ^ 1;
      assert.match(
        await refusal(opened(whole)),
        new RegExp(`^bundle-malformed: .*${name}`),
        `${place} of ${name}`,
      );
    }
  }
});
