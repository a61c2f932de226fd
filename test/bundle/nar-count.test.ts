/** Counting NARs: against our writer of NARs over random trees, in any portions; and what is none. */
import assert from 'node:assert/strict';
import { chmod, lstat, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { type NarCount, NarCounter } from '../../src/bundle/nar-count.ts';
import { NixmakerError } from '../../src/core/errors.ts';
import { narOf } from '../../src/nix/nar.ts';
import { temporaryFolder } from '../support/bundles.ts';

type Tree =
  | { readonly kind: 'file'; readonly size: number; readonly executable: boolean }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'folder'; readonly entries: ReadonlyMap<string, Tree> };

const plain = fc
  .string({
    unit: fc.constantFrom('a', 'B', 'z', '.', '-', 'ä', '漢', ' ', '~'),
    minLength: 1,
    maxLength: 12,
  })
  .filter((text) => text !== '.' && text !== '..');
const name = fc.oneof(
  { weight: 4, arbitrary: plain },
  plain.map((text) => `${text}.nix`),
);
const { tree } = fc.letrec<{ tree: Tree; entries: [string, Tree][] }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({
      kind: fc.constant('file' as const),
      size: fc.oneof(fc.constantFrom(0, 1, 7, 8, 4095, 4096, 4097), fc.nat(70_000)),
      executable: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('link' as const), target: name }),
    tie('entries').map((entries) => ({ kind: 'folder' as const, entries: new Map(entries) })),
  ),
  entries: fc.array(fc.tuple(name, tie('tree')), { maxLength: 8 }),
}));

async function lay(at: string, node: Tree): Promise<void> {
  if (node.kind === 'link') await symlink(node.target, at);
  else if (node.kind === 'file') {
    await writeFile(at, 'x'.repeat(node.size));
    if (node.executable) await chmod(at, 0o755);
  } else {
    await mkdir(at);
    for (const [entry, below] of node.entries) await lay(join(at, entry), below);
  }
}

/** By walking. */
async function walked(at: string): Promise<NarCount> {
  const stat = await lstat(at);
  if (stat.isSymbolicLink()) return { files: 1, blocks: 0, expressions: 0 };
  if (stat.isFile()) return { files: 1, blocks: Math.ceil(stat.size / 4096), expressions: 0 };
  const total = { files: 1, blocks: 1, expressions: 0 };
  for (const entry of await readdir(at, { withFileTypes: true })) {
    const { files, blocks, expressions } = await walked(join(at, entry.name));
    total.files += files;
    total.blocks += blocks;
    total.expressions += expressions;
    if (entry.isFile() && entry.name.endsWith('.nix')) total.expressions += 1;
  }
  return total;
}

async function narBytes(path: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of narOf(path)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

/** @param portions lengths, again and again */
function count(nar: Buffer, portions: readonly number[]) {
  const counter = new NarCounter();
  for (let at = 0, i = 0; at < nar.length; i++) {
    const size = portions[i % portions.length] ?? 1;
    counter.feed(nar.subarray(at, at + size));
    at += size;
  }
  return counter.end();
}

const refusal = (nar: Buffer, portions: readonly number[] = [nar.length]): string => {
  try {
    count(nar, portions);
  } catch (error) {
    assert.ok(error instanceof NixmakerError, String(error));
    assert.equal(error.code, 'bundle-malformed');
    return error.detail;
  }
  assert.fail('it was taken for a NAR');
};

test('files and blocks of any tree are what walking it gives, in whatever portions the NAR comes', async (t) => {
  const folder = await temporaryFolder(t);
  let n = 0;
  await fc.assert(
    fc.asyncProperty(
      tree,
      fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 9000 })), {
        minLength: 1,
      }),
      async (node, portions) => {
        const path = join(folder, String(n++));
        await lay(path, node);
        const nar = await narBytes(path);
        const expected = await walked(path);
        assert.deepEqual(count(nar, portions), expected);
        assert.deepEqual(count(nar, [nar.length]), expected);
      },
    ),
  );
});

async function small(t: TestContext): Promise<Buffer> {
  const path = join(await temporaryFolder(t), 'small');
  const entries = new Map<string, Tree>([
    ['a', { kind: 'file', size: 5, executable: true }],
    ['b', { kind: 'link', target: 'a' }],
  ]);
  await lay(path, { kind: 'folder', entries });
  return narBytes(path);
}

test('cut off anywhere it is none, and with anything after its end', async (t) => {
  const nar = await small(t);
  assert.deepEqual(count(nar, [1]), { files: 3, blocks: 2, expressions: 0 });
  for (let end = 0; end < nar.length; end++)
    assert.match(refusal(nar.subarray(0, end), [7]), /ends too early/, String(end));
  for (const portion of [1, nar.length, nar.length + 1, 2 ** 20])
    assert.match(refusal(Buffer.concat([nar, Buffer.alloc(1)]), [portion]), /has data after its end/);
  assert.match(refusal(Buffer.concat([nar, nar])), /has data after its end/);
});

test('with any bit of what is no name and no content turned over it is none', async (t) => {
  const nar = await small(t);
  const free = ['a\0', 'b\0', 'xxxxx'].map((text) => nar.indexOf(text));
  for (let at = 0; at < nar.length; at++) {
    if (free.some((start) => at === start || (nar[start] === 0x78 && at > start && at < start + 5))) continue;
    const bytes = Buffer.from(nar);
    bytes[at] = (bytes[at] ?? 0) ^ 0x20;
    // The target of the link is free as well.
    if (nar.subarray(at, at + 8).equals(Buffer.from('a\0\0\0\0\0\0\0'))) continue;
    assert.ok(refusal(bytes, [11]).startsWith('it is not a NAR'), String(at));
  }
});

const text = (...strings: string[]) =>
  Buffer.concat(
    strings.flatMap((string) => {
      const bytes = Buffer.from(string);
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(bytes.length));
      return [length, bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)];
    }),
  );
const inFolder = (...names: string[]) =>
  text(
    'nix-archive-1',
    ...['(', 'type', 'directory'],
    ...names.flatMap((n) => [
      'entry',
      '(',
      'name',
      n,
      'node',
      '(',
      'type',
      'symlink',
      'target',
      'x',
      ')',
      ')',
    ]),
    ')',
  );

test('names must ascend, be whole and name something in the folder', () => {
  assert.deepEqual(count(inFolder('a', 'b'), [5]), { files: 3, blocks: 1, expressions: 0 });
  for (const names of [
    ['b', 'a'],
    ['a', 'a'],
    [''],
    ['.'],
    ['..'],
    ['a/b'],
    ['/'],
    ['a\0'],
    ['x'.repeat(5000)],
  ])
    refusal(inFolder(...names));
});

test('a file of 2^63 bytes, strings without end and folders without end are refused at once', () => {
  const head = text('nix-archive-1', '(', 'type');
  refusal(Buffer.concat([head, text('regular', 'contents'), Buffer.alloc(8, 0xff)]));
  refusal(Buffer.concat([head, Buffer.alloc(8, 0xff), Buffer.alloc(100_000)]), [1000]);
  const deeper = ['(', 'type', 'directory', 'entry', '(', 'name', 'x', 'node'];
  refusal(text('nix-archive-1', ...Array.from({ length: 3000 }, () => deeper).flat()), [4096]);
});
