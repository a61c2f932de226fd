/** Where everything in a bundle lies: by arithmetic, confirmed header by header; where it is not so, what is said of it. */
import assert from 'node:assert/strict';
import { appendFile, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { withBundleFile } from '../../src/bundle/file.ts';
import { checkLayout, readAnnouncements, readHead, totalSizeOf } from '../../src/bundle/layout.ts';
import { membersOf } from '../../src/bundle/members.ts';
import { encodeHeader } from '../../src/bundle/ustar.ts';
import { NixmakerError } from '../../src/core/errors.ts';
import { type BundlePlan, openTestBundle, temporaryFolder, writeTestBundle } from '../support/bundles.ts';

async function written(t: TestContext, plan: BundlePlan = {}) {
  const path = join(await temporaryFolder(t), 'web.tar');
  const made = await writeTestBundle(path, plan);
  return { path, made, bytes: await readFile(path) };
}

/** What is said of the file as it lies there now; undefined where all is well. */
async function refusal(path: string): Promise<string | undefined> {
  try {
    const bundle = await openTestBundle(path);
    await bundle.file.close();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof NixmakerError, String(error));
    return `${error.code}: ${error.detail}`;
  }
}

test('its size is known from what announces it, and each piece lies where the arithmetic has it', async (t) => {
  const { path, made, bytes } = await written(t, { fileSizes: [100_000, 512] });
  await withBundleFile(path, async (file) => {
    const head = await readHead(file);
    assert.deepEqual([head.manifestBytes, head.signatureBytes], [made.manifestBytes, made.signatureBytes]);
    const announced = await readAnnouncements(file, {
      authentic: { manifest: made.release.manifest, digest: made.digest },
      head,
    });
    assert.equal(totalSizeOf(announced), bytes.length);
    const { positions, totalSize } = await checkLayout(file, announced);
    assert.equal(totalSize, bytes.length);
    assert.deepEqual([...positions.keys()], [...made.pieces.keys()]);
    for (const [name, piece] of made.pieces) {
      const at = positions.get(name) ?? 0;
      assert.ok(bytes.subarray(at, at + piece.length).equals(piece));
      assert.ok(encodeHeader(name, piece.length).equals(bytes.subarray(at - 512, at)));
    }
  });
});

test('cut off anywhere it is said at which byte it ends', async (t) => {
  const { path, bytes } = await written(t, { fileSizes: [100, 100] });
  for (let cut = bytes.length - 1; cut > 1024; cut -= 331) {
    await truncate(path, cut);
    assert.equal(await refusal(path), `bundle-truncated: the file ends at byte ${cut}`);
  }
});

test('with anything behind its end it is said how much of it is announced', async (t) => {
  const { path, bytes } = await written(t);
  for (const more of [1, 512]) {
    await appendFile(path, Buffer.alloc(more));
    const { size } = await stat(path);
    assert.equal(
      await refusal(path),
      `bundle-trailing-data: the file has ${size} bytes; the manifest lists ${bytes.length}`,
    );
  }
});

test('a byte of any header, padding or small member that is another is told with the member’s name', async (t) => {
  const { path, made, bytes } = await written(t);
  const turned = async (at: number) => {
    const other = Buffer.from(bytes);
    other[at] = (other[at] ?? 0) ^ 1;
    await writeFile(path, other);
    return refusal(path);
  };
  let at = 0;
  const first = [
    ['manifest.json', made.manifestBytes.length],
    ['manifest.sig', made.signatureBytes.length],
    ['index', made.release.index.bytes.length],
    ['nix.sig', made.release.nixSignatures.bytes.length],
    ['contents', made.release.contentsBytes.length],
  ] as const;
  const said: Readonly<Record<string, string>> = {
    'manifest.json': 'not-a-bundle: it does not begin with a manifest',
    'manifest.sig': 'bundle-malformed: the manifest is not followed by manifest.sig',
    index: 'bundle-malformed: the signatures are not followed by the index',
    'nix.sig': 'bundle-malformed: nix.sig is not where it belongs',
    contents: 'bundle-malformed: contents is not where it belongs',
  };
  const between = (name: string) => `bundle-malformed: there are stray bytes after ${name}`;
  const padded = (size: number) => size + (-size & 511);
  for (const [name, size] of first) {
    assert.equal(await turned(at), said[name]);
    if (size % 512 !== 0) assert.equal(await turned(at + 512 + padded(size) - 1), between(name));
    at += 512 + padded(size);
  }
  for (const member of membersOf(made.release)) {
    const { name, size } = member;
    const what = (part: string) => `bundle-malformed: ${part} does not match the manifest`;
    assert.equal(await turned(at), what(`the header of ${name}`));
    if ('bytes' in member) assert.equal(await turned(at + 512), what(name));
    if (size % 512 !== 0) assert.equal(await turned(at + 512 + size), between(name));
    at += 512 + padded(size);
  }
  assert.equal(await turned(at), between('the last member'));
  assert.equal(await turned(at + 1023), between('the last member'));
  assert.equal(at + 1024, bytes.length);
});

test('what is encrypted is told apart by its first bytes, before anything is looked for in it', async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  await writeFile(
    path,
    Buffer.concat([Buffer.from('age-encryption.org/v1\n-> X25519 x\n'), Buffer.alloc(2048)]),
  );
  await withBundleFile(path, async (file) => {
    await assert.rejects(readHead(file), { code: 'not-decryptable' });
  });
});
