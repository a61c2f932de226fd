/** The texts of a release: manifest, index, contents, Nix’s signatures, narinfo, store paths. What is accepted has one spelling. */
import assert from 'node:assert/strict';
import { parseNarinfo, renderNarinfo } from '../../../src/core/bundle/narinfo.ts';
import { decodeNix32, encodeNix32 } from '../../../src/core/nix32.ts';
import {
  encodeContents,
  namesInContents,
  parseContents,
  pieceName,
} from '../../../src/core/release/contents-file.ts';
import { ReleaseIndex } from '../../../src/core/release/index-file.ts';
import { encodeManifest, parseManifest } from '../../../src/core/release/manifest.ts';
import { encodeKeyBlock, NixSignatures } from '../../../src/core/release/nix-signatures.ts';
import { encodeParts, parseParts } from '../../../src/core/release/parts.ts';
import { readIndexOf } from '../../../src/core/release/signed-index.ts';
import { encodeIndex } from '../../../src/core/release/write-index.ts';
import {
  fromBaseName,
  parseDrvPath,
  parseStorePath,
  parseStorePathLines,
  storeDir,
  toBaseName,
} from '../../../src/core/store-path.ts';
import { signPath } from '../../../src/signing/path-signature.ts';
import { manifestDigest, readManifest } from '../../../src/signing/verify.ts';
import { manifestText, pathOf } from '../../support/manifests.ts';
import { digits, indexedPath, indexOf, storePathOf } from '../../support/releases.ts';
import { byteMutation } from '../mutations/bytes.ts';
import { jsonMutation } from '../mutations/json.ts';
import { jsonLinesMutation, textLinesMutation } from '../mutations/lines.ts';
import { buffers, firstKey, secondKey, type Target } from './target.ts';

const root = storePathOf(3);
const paths = [
  indexedPath(1),
  indexedPath(2, [], { ca: `text:sha256:${digits(1, 52)}` }),
  indexedPath(3, [1, 2, 3]),
];
const index = indexOf(paths);
const digest = 'c'.repeat(64);

const manifest: Target = {
  name: 'manifest',
  readers: ['core/release/manifest.ts parseManifest', 'signing/verify.ts readManifest'],
  seeds: () =>
    buffers(
      manifestText(),
      manifestText({
        content: 'derivation',
        notes: 'what is new',
        flake: { description: 'd', revision: 'r' },
        expiresAt: '2027-01-01T00:00:00Z',
        machineId: 'f'.repeat(32),
        downgradeFrom: 9,
        tarball: { size: 5, sha256: 'b'.repeat(64) },
      }),
    ),
  mutate: jsonMutation,
  run: (data) => {
    const text = data.toString('utf8');
    const read = parseManifest(text);
    assert.equal(encodeManifest(read), text, 'a manifest with two spellings');
    assert.deepEqual(readManifest(Buffer.from(text)), read);
  },
};

const indexTarget: Target = {
  name: 'index',
  readers: [
    'core/release/index-file.ts ReleaseIndex.parse',
    'core/release/index-reader.ts readColumns',
    'core/release/lines.ts readLines',
  ],
  seeds: () => [
    Buffer.from(index.bytes),
    ...buffers(
      encodeIndex([indexedPath(1), indexedPath(2), indexedPath(4, [1, 2]), indexedPath(3, [4, 2, 3])], root)
        .text,
      encodeIndex([indexedPath(3, [], { ca: `fixed:r:sha512:${digits(1, 103)}`, narSize: 2 ** 40 })], root)
        .text,
    ),
  ],
  mutate: jsonLinesMutation,
  run: (data) => {
    const read = ReleaseIndex.parse(data, root);
    const lines = read.paths().map((path, line) => {
      const { references, ...fields } = read.line(line);
      assert.equal(fields.path, path);
      assert.equal(read.isContentAddressed(line), fields.ca !== '');
      assert.deepEqual([...read.references(line)], references);
      return { ...fields, references: references.map((r) => read.path(r)) };
    });
    // All of it again from what was understood: an index has one spelling, and its totals add up.
    const written = encodeIndex(lines, root);
    assert.equal(written.text, data.toString('latin1'), 'an index with two spellings');
    assert.deepEqual(written.totals, read.totals);
  },
};

const signedManifest = parseManifest(
  manifestText({
    toplevel: root,
    totals: index.totals,
    index: { size: index.bytes.length, sha256: manifestDigest(index.bytes) },
  }),
);

const signedIndex: Target = {
  name: 'signed-index',
  readers: ['core/release/signed-index.ts readIndexOf', 'bundle/release.ts readIndex'],
  seeds: () => [Buffer.from(index.bytes)],
  mutate: jsonLinesMutation,
  run: (data) => {
    readIndexOf(signedManifest, data, manifestDigest(data));
    assert.deepEqual(data, Buffer.from(index.bytes), 'another index was taken for the one that was signed');
  },
};

const whole = { kind: 'whole', size: 10, digest: digits(5, 52) } as const;
const contentsText = encodeContents(digest, [
  { ...whole, line: 0 },
  {
    kind: 'delta',
    line: 1,
    size: 7,
    digest: digits(6, 52),
    base: storePathOf(8),
    baseNarHash: digits(9, 52),
  },
  { ...whole, line: 1 },
]);

const contents: Target = {
  name: 'contents',
  readers: ['core/release/contents-file.ts parseContents', 'core/release/contents-file.ts namesInContents'],
  seeds: () => buffers(contentsText, encodeContents(digest, [])),
  mutate: jsonLinesMutation,
  run: (data) => {
    const pieces = [...parseContents(data, { manifestDigest: digest, index }).values()].flat();
    assert.equal(encodeContents(digest, pieces), data.toString('latin1'), 'contents with two spellings');
    // Whoever clears a medium away knows at least what whoever reads it needs.
    const names = namesInContents(data);
    for (const piece of pieces) assert.ok(names.has(pieceName(piece)), pieceName(piece));
  },
};

const parts: Target = {
  name: 'parts',
  readers: ['core/release/parts.ts parseParts'],
  seeds: () => [
    encodeParts({ part: 1, of: 2, partOf: Uint16Array.from([1, 1, 2]) }, digest),
    encodeParts({ part: 3, of: 3, partOf: Uint16Array.from([0, 2, 3]) }, digest),
  ],
  mutate: jsonMutation,
  run: (data) => {
    const hint = parseParts(data, { manifestDigest: digest, index });
    if (hint === undefined) return;
    assert.ok(hint.part <= hint.of && hint.partOf.length === index.length);
    assert.ok(
      hint.partOf.every((part) => part <= hint.of),
      'a part that is none of them',
    );
  },
};

/** As on a medium, where nobody knows the index. */
const contentsNames: Target = {
  name: 'contents-names',
  readers: ['core/release/contents-file.ts namesInContents'],
  seeds: () => buffers(contentsText),
  mutate: jsonLinesMutation,
  run: (data) => {
    for (const name of namesInContents(data))
      assert.match(
        name,
        /^(?:nar|delta)\/[0-9a-z]{2}\/[0-9a-z]{52}(?:\.nar)?\.zst$/,
        'a name that leads elsewhere',
      );
  },
};

const block = (key: typeof firstKey) =>
  encodeKeyBlock(index, key.name, (line) => signPath(index.info(line), key));

const nixSignatures: Target = {
  name: 'nix-signatures',
  readers: ['core/release/nix-signatures.ts NixSignatures.parse'],
  seeds: () => buffers('', block(firstKey), block(firstKey) + block(secondKey)),
  mutate: textLinesMutation,
  run: (data) => {
    const read = NixSignatures.parse(data, index);
    const again = read.keyNames.map((name) => read.blockOf(name)).join('');
    assert.equal(again, data.toString('latin1'), 'signatures with two spellings');
    for (let line = 0; line < index.length; line++) {
      const signatures = read.of(line);
      assert.equal(signatures.length, index.isContentAddressed(line) ? 0 : read.keyNames.length);
      for (const signature of signatures) assert.match(signature, /^[^:\n]+:[A-Za-z0-9+/]{86}==$/);
    }
  },
};

const narinfo: Target = {
  name: 'narinfo',
  readers: ['core/bundle/narinfo.ts parseNarinfo'],
  seeds: () =>
    buffers(
      renderNarinfo({
        path: root,
        url: 'nar/x.nar.zst',
        compression: 'zstd',
        fileHash: `sha256:${digits(1, 52)}`,
        fileSize: 10,
        narHash: `sha256:${digits(2, 52)}`,
        narSize: 100,
        references: [storePathOf(1), root],
        deriver: 'x.drv',
        ca: 'text:sha256:x',
        signatures: [signPath(index.info(2), firstKey)],
      }),
    ),
  mutate: textLinesMutation,
  run: (data) => {
    const read = parseNarinfo(data.toString('utf8'));
    assert.deepEqual(parseNarinfo(renderNarinfo(read)), read);
  },
};

const storePaths: Target = {
  name: 'store-paths',
  readers: [
    'core/store-path.ts parseStorePath',
    'core/store-path.ts parseDrvPath',
    'core/store-path.ts parseStorePathLines',
    'core/store-path.ts fromBaseName',
    'core/nix32.ts decodeNix32',
  ],
  seeds: () =>
    buffers(root, pathOf('a', 'x.drv'), `${root}\n${storePathOf(1)}\n`, toBaseName(root), digits(77, 52)),
  mutate: byteMutation(['/nix/store/', '..', '.', '-', '/', '\n', '.drv', '\0', '_?=+']),
  run: (data) => {
    const text = data.toString('utf8');
    for (const path of [
      parseStorePath(text),
      parseDrvPath(text),
      fromBaseName(text),
      ...parseStorePathLines(text),
    ]) {
      if (path === undefined) continue;
      const [, name] = /^\/nix\/store\/[0-9a-z]{32}-([^/\s\0]+)$/.exec(path) ?? [];
      assert.ok(name !== undefined && name !== '.' && name !== '..', `${path} leads out of ${storeDir}`);
      assert.equal(fromBaseName(toBaseName(path)), path);
    }
    const bytes = decodeNix32(text, 32);
    if (bytes !== undefined) assert.equal(encodeNix32(bytes), text, 'a hash with two spellings');
  },
};

export const releaseTargets: readonly Target[] = [
  manifest,
  indexTarget,
  signedIndex,
  contents,
  contentsNames,
  parts,
  nixSignatures,
  narinfo,
  storePaths,
];
