/** Whether the beginning of a file is there, or only its size. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasHole } from '../../src/bundle/hole.ts';
import { temporaryFolder } from '../support/bundles.ts';

const zeros = (bytes: number) => Buffer.alloc(bytes);
const some = (bytes: number) => randomBytes(bytes);

for (const [what, bytes, expected] of [
  ['a small tar, which ends with two blocks of zeros,', [some(20_000 - (20_000 % 512)), zeros(1024)], false],
  ['a large file', [some(100_000)], false],
  ['a small one of which nothing is there', [zeros(20_480)], true],
  ['a small one that is being written', [some(5120), zeros(15_360)], true],
  ['a small one of which the last block is to come', [some(5120), zeros(512), zeros(1024)], true],
  ['a large one that is being written', [some(5120), zeros(200_000)], true],
  ['a large one whose beginning was written last', [zeros(5120), some(200_000)], true],
  ['a large one that ends with zeros', [some(100_000), zeros(1024)], false],
  ['a large one with zeros beyond its beginning', [some(100_000), zeros(20_000), some(1000)], false],
  ['an empty file', [], false],
] as const)
  test(`${what} has ${expected ? 'a' : 'no'} hole`, async (t) => {
    const file = join(await temporaryFolder(t), 'x.tar');
    await writeFile(file, Buffer.concat(bytes));
    assert.equal(await hasHole(file), expected);
  });

for (const [what, bytes, expected] of [
  ['that is being written', [some(100_000), zeros(100_000)], true],
  ['with a bit that has turned', [some(200_000)], false],
  ['that ends with zeros', [some(200_192), zeros(1024)], false],
  ['with zeros in the second mebibyte', [some(2 ** 20 + 100_000), zeros(20_000), some(1000)], true],
] as const)
  test(`a large one ${what} has ${expected ? 'a' : 'no'} hole anywhere`, async (t) => {
    const file = join(await temporaryFolder(t), 'x.tar');
    await writeFile(file, Buffer.concat(bytes));
    assert.equal(await hasHole(file, 'whole'), expected);
  });

test('what is no plain file has none', async (t) => {
  const folder = join(await temporaryFolder(t), 'x.tar');
  await mkdir(folder);
  assert.equal(await hasHole(folder), false);
  assert.equal(await hasHole(`${folder}/nothing`), false);
});

for (const [what, size, holes, expected] of [
  ['zeros where the tar’s end may begin', 65_535 - 1024, [], false],
  ['a block of zeros just before its end', 30_000, [[20_480, 512]], true],
  ['a block of zeros that is not at a block’s place', 30_000, [[20_500, 512]], false],
  ['a page of zeros at the end of the first portion', 64 * 1024 + 2 ** 20, [[2 ** 20 + 61_440, 4096]], true],
  [
    'a page of zeros at the beginning of the second portion',
    64 * 1024 + 2 ** 20 + 4096,
    [[64 * 1024 + 2 ** 20, 4096]],
    true,
  ],
  ['less than a page of zeros', 300_000, [[200_704, 4095]], false],
] as const)
  test(`of a file with ${what} it is ${expected ? '' : 'not '}said that it has a hole`, async (t) => {
    const path = join(await temporaryFolder(t), 'x');
    const bytes = Buffer.alloc(size, 1);
    for (const [at, length] of holes) bytes.fill(0, at, at + length);
    await writeFile(path, bytes);
    assert.equal(await hasHole(path, 'whole'), expected);
  });
