/** Sizes that somebody else states: nothing is allocated or read on their word alone. */
import assert from 'node:assert/strict';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { readClassicMeta } from '../../src/bundle/classic.ts';
import { type BundleFile, exactly, openBundleFile, withBundleFile } from '../../src/bundle/file.ts';
import { readAnnouncements, readHead } from '../../src/bundle/layout.ts';
import { authenticateBundle } from '../../src/bundle/open.ts';
import { blockSize, encodeHeader, paddingOf } from '../../src/bundle/ustar.ts';
import { NixmakerError } from '../../src/core/errors.ts';
import { limits } from '../../src/core/limits.ts';
import { withoutVerifying } from '../../src/desk/keys/read-release.ts';
import { makeTestRelease, temporaryFolder } from '../support/bundles.ts';

const extremes = [2 ** 31 - 1, 2 ** 31, 2 ** 32, 8 * 2 ** 30 - 1];

/** What is asked of the file: how much, in one go. */
function watched(file: BundleFile): { readonly file: BundleFile; readonly most: () => number } {
  let most = 0;
  const note = (bytes: number) => {
    most = Math.max(most, bytes);
  };
  return {
    file: {
      ...file,
      read: (position, length) => {
        note(length);
        return file.read(position, length);
      },
      readInto: (buffer, position) => {
        note(buffer.length);
        return file.readInto(buffer, position);
      },
    },
    most: () => most,
  };
}

type Small = readonly (readonly [name: string, bytes: Buffer])[];

/** The first members of a genuine bundle, the last of which says that it has so many bytes; the file does have them, as a hole. */
async function sparse(
  t: TestContext,
  { members, claim }: { readonly members: Small; readonly claim: number },
): Promise<string> {
  const path = join(await temporaryFolder(t), 'sparse.tar');
  const out = await open(path, 'w');
  let position = 0;
  for (const [i, [name, bytes]] of members.entries()) {
    const size = i === members.length - 1 ? claim : bytes.length;
    await out.write(encodeHeader(name, size), 0, blockSize, position);
    if (i < members.length - 1) await out.write(bytes, 0, bytes.length, position + blockSize);
    position += blockSize + size + paddingOf(size);
  }
  await out.truncate(position + 2 * blockSize);
  await out.close();
  return path;
}

const made = makeTestRelease();
const members: Small = [
  ['manifest.json', made.manifestBytes],
  ['manifest.sig', made.signatureBytes],
  ['index', Buffer.from(made.release.index.bytes)],
  ['nix.sig', made.release.nixSignatures.bytes],
  ['contents', made.release.contentsBytes],
];

for (const [at, [name]] of members.entries())
  test(`a ${name} that is announced larger than it can be is refused before it is read`, async (t) => {
    // Three lines: what goes with them can’t have a mebibyte, whatever a carrier says.
    for (const claim of [1024 ** 2, limits.nixSignatureBytes, ...extremes]) {
      const path = await sparse(t, { members: members.slice(0, at + 1), claim });
      await withBundleFile(path, async (opened) => {
        const { file, most } = watched(opened);
        const reading = readHead(file).then(async () =>
          readAnnouncements(file, await authenticateBundle(file, withoutVerifying)),
        );
        await assert.rejects(
          reading,
          (error: unknown) => error instanceof NixmakerError && error.code === 'bundle-malformed',
          `${claim}`,
        );
        assert.ok(most() <= limits.manifestBytes, `${most()} bytes were asked for`);
      });
    }
  });

test('no number is too large for a read: what is not there is not asked for', async (t) => {
  const path = join(await temporaryFolder(t), 'small');
  await writeFile(path, 'small');
  const file = await openBundleFile(path);
  t.after(() => file.close());
  const numbers = fc.oneof(
    fc.constantFrom(...extremes, 8 * 2 ** 30, Number.MAX_SAFE_INTEGER),
    fc.maxSafeNat(),
  );
  await fc.assert(
    fc.asyncProperty(numbers, numbers, async (position, length) => {
      if (position + length <= 5) return;
      await assert.rejects(
        file.read(position, length),
        (error: unknown) =>
          error instanceof NixmakerError && ['bundle-truncated', 'bundle-malformed'].includes(error.code),
      );
    }),
  );
});

test('of a file that does have so many bytes, no more is read at one go than a bundle’s largest part', async (t) => {
  const path = await sparse(t, { members: members.slice(0, 1), claim: 2 ** 31 });
  await withBundleFile(path, (file) =>
    assert.rejects(file.read(0, limits.readAtOnce + 1), { code: 'bundle-malformed' }),
  );
  const all = exactly({ size: async () => 2 ** 40, readInto: async (buffer) => buffer.length });
  assert.equal((await all(2 ** 39, 3)).length, 3);
});

test('the two lines beside a classic tarball are read as far as two lines can reach', async (t) => {
  const path = join(await temporaryFolder(t), 'meta');
  const file = await open(path, 'w');
  await file.truncate(2 ** 32);
  await file.close();
  await assert.rejects(readClassicMeta(path), { code: 'bundle-malformed' });
});

test('what goes beyond the end of a file is not even begun to be read', async () => {
  const read = exactly({ size: async () => 10, readInto: () => assert.fail('nothing of it is there') });
  await assert.rejects(read(8, 4), { code: 'bundle-truncated', detail: 'the file ends at byte 10' });
});
