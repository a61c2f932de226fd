/** Encrypted bundles, read where they lie: what comes out is what went in, or a clear error. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFile, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Decrypter } from 'age-encryption';
import fc from 'fast-check';
import { decrypt, encryptFile, generateIdentity, recipientOf } from '../../src/bundle/encrypted.ts';
import { type BundleFile, openBundleFile } from '../../src/bundle/file.ts';
import { NixmakerError, type ReasonCode } from '../../src/core/errors.ts';
import { temporaryFolder } from '../support/bundles.ts';

const chunk = 64 * 1024;
const identity = await generateIdentity();
const recipient = await recipientOf(identity);
const stranger = await generateIdentity();

async function encrypted(t: TestContext, size: number) {
  const folder = await temporaryFolder(t);
  const plain = randomBytes(size);
  const from = join(folder, 'plain');
  const path = join(folder, 'plain.age');
  await writeFile(from, plain);
  await encryptFile(from, path, [recipient]);
  return { plain, path };
}

async function opened<T>(
  path: string,
  work: (file: BundleFile) => Promise<T>,
  keys = [identity],
): Promise<T> {
  const file = await openBundleFile(path);
  try {
    return await work(await decrypt(file, async () => keys));
  } finally {
    await file.close();
  }
}

const whole = async (file: BundleFile) => file.read(0, await file.size());

function refused(work: Promise<unknown>, ...codes: ReasonCode[]): Promise<void> {
  return assert.rejects(
    work,
    (error: unknown) => error instanceof NixmakerError && codes.includes(error.code),
  );
}

for (const size of [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 7])
  test(`${size} bytes are read as they were written, from any place, as the library reads them`, async (t) => {
    const { plain, path } = await encrypted(t, size);
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    assert.deepEqual(Buffer.from(await decrypter.decrypt(await readFile(path))), plain);
    await opened(path, async (file) => {
      assert.equal(await file.size(), size);
      assert.deepEqual(await whole(file), plain);
      const places = fc.tuple(fc.nat(size + chunk), fc.nat(2 * chunk));
      await fc.assert(
        fc.asyncProperty(places, async ([position, length]) => {
          const buffer = Buffer.alloc(length);
          const got = await file.readInto(buffer, position);
          assert.deepEqual(buffer.subarray(0, got), plain.subarray(position, position + length));
        }),
        { numRuns: 50 },
      );
    });
  });

test('cut off anywhere it is short, and nothing wrong comes out of it', async (t) => {
  const { plain, path } = await encrypted(t, 2 * chunk + 100);
  const bytes = await readFile(path);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 30, max: bytes.length - 1 }), async (length) => {
      await writeFile(path, bytes);
      await truncate(path, length);
      const read = opened(path, async (file) => {
        assert.ok((await file.size()) < plain.length);
        // What a chunk that is whole holds may be read while the rest is on its way.
        const start = Buffer.alloc(chunk);
        if ((await file.size()) >= chunk) {
          assert.equal(await file.readInto(start, 0), chunk);
          assert.deepEqual(start, plain.subarray(0, chunk));
        }
        return file.read(0, plain.length);
      });
      await refused(read, 'bundle-truncated', 'bundle-altered');
    }),
    { numRuns: 60, examples: [[bytes.length - 1], [bytes.length - 116], [bytes.length - 117]] },
  );
});

test('a file that grows while it is open is read as far as it is there by then', async (t) => {
  const { plain, path } = await encrypted(t, 2 * chunk + 100);
  const bytes = await readFile(path);
  const start = bytes.length - 3 * 16 - plain.length;
  for (const there of [start, start + 5000, start + chunk + 16, start + chunk + 5000, bytes.length - 1]) {
    await writeFile(path, bytes);
    await truncate(path, there);
    await opened(path, async (file) => {
      assert.ok((await file.size()) < plain.length);
      await assert.rejects(file.read(0, plain.length), {
        code: 'bundle-truncated',
        detail: /^the file ends /,
      });
      // Bytes of a chunk that is not whole yet are no damage: more of it may come.
      if ((there - start) % (chunk + 16) > 0)
        await assert.rejects(file.readInto(Buffer.alloc(await file.size()), 0), {
          code: 'bundle-truncated',
          detail: 'the encrypted data is cut short',
        });
      await appendFile(path, bytes.subarray(there));
      assert.equal(await file.size(), plain.length);
      assert.deepEqual(await whole(file), plain, `${there} bytes were there at first`);
    });
  }
});

test('a bit that has turned is noticed, as are chunks that have changed places', async (t) => {
  const { path } = await encrypted(t, 3 * chunk);
  const bytes = await readFile(path);
  const start = bytes.length - 3 * (chunk + 16);
  const turned = Buffer.from(bytes);
  turned.writeUInt8(turned.readUInt8(start + 70_000) ^ 4, start + 70_000);
  await writeFile(path, turned);
  await refused(opened(path, whole), 'bundle-altered');
  const part = (i: number) => bytes.subarray(start + i * (chunk + 16), start + (i + 1) * (chunk + 16));
  await writeFile(path, Buffer.concat([bytes.subarray(0, start), part(1), part(0), part(2)]));
  await refused(opened(path, whole), 'bundle-altered');
  await writeFile(path, Buffer.concat([bytes, part(2)]));
  await refused(opened(path, whole), 'bundle-altered');
});

test('who is no recipient, or has no key, is told so; what is not encrypted is read as it is', async (t) => {
  const { path, plain } = await encrypted(t, 1000);
  await assert.rejects(opened(path, whole, [stranger]), {
    code: 'not-decryptable',
    detail: /no identity matched/,
  });
  await assert.rejects(opened(path, whole, []), {
    code: 'not-decryptable',
    detail: /this machine has no key to decrypt it/,
  });
  assert.deepEqual(await opened(path, whole, [stranger, identity]), plain);
  await writeFile(path, plain);
  assert.deepEqual(await opened(path, whole, []), plain);
});

test('a header that is none, or has no end, is refused in bounded room', async (t) => {
  const path = join(await temporaryFolder(t), 'odd.age');
  await writeFile(path, `age-encryption.org/v1\n${'-> X25519 abc\n'.repeat(500_000)}`);
  await refused(opened(path, whole), 'not-a-bundle');
  await writeFile(path, 'age-encryption.org/v1\nno stanza at all\n--- AAAA\n0123456789abcdef');
  await refused(opened(path, whole), 'not-decryptable');
  await writeFile(path, 'age-encryption.org/v1\n');
  await refused(opened(path, whole), 'bundle-truncated');
});

test('what is no recipient is named, and nothing is written', async (t) => {
  const folder = await temporaryFolder(t);
  const from = join(folder, 'plain');
  await writeFile(from, 'text');
  await refused(encryptFile(from, join(folder, 'out'), ['age1nonsense']), 'key-malformed');
  await assert.rejects(openBundleFile(join(folder, 'out')), {
    code: 'io-error',
    detail: /^cannot open the file: ENOENT/,
  });
  await refused(recipientOf('AGE-SECRET-KEY-NONSENSE'), 'key-malformed');
});

test('a header of more recipients than anybody writes is refused before one of them is tried, and is not written', async (t) => {
  const { path } = await encrypted(t, 10);
  const whole = await readFile(path);
  const first = whole.indexOf('\n-> ');
  const stanza = whole.subarray(first, whole.indexOf('\n--- '));
  for (const count of [64, 8000]) {
    const many = [whole.subarray(0, first), ...Array.from({ length: count }, () => stanza)];
    await writeFile(path, Buffer.concat([...many, whole.subarray(whole.indexOf('\n--- '))]));
    const begun = performance.now();
    await refused(
      opened(path, async () => undefined, [stranger]),
      'not-decryptable',
      'not-a-bundle',
    );
    assert.ok(performance.now() - begun < 5000, `${count} recipients took ${performance.now() - begun} ms`);
    if (count > 64)
      await refused(
        opened(path, async () => undefined),
        'not-a-bundle',
      );
  }
  const recipients = Array.from({ length: 65 }, () => recipient);
  await refused(encryptFile(path, `${path}.age`, recipients), 'usage');
  await encryptFile(path, `${path}.age`, recipients.slice(1));
});
