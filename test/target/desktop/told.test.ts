/** What a user has been told is remembered, whatever comes at the same time and however the file looks. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Told } from '../../../src/target/desktop/told.ts';
import { temporaryFolder } from '../../support/bundles.ts';

test('what is told side by side is remembered, the newest 64', async (t) => {
  const folder = join(await temporaryFolder(t), 'state', 'nixmaker');
  const told = await Told.open(folder);
  await Promise.all(Array.from({ length: 66 }, (_, i) => told.add(`medium ${i}`)));
  const again = await Told.open(folder);
  assert.deepEqual(
    [0, 1, 2, 65].map((i) => again.has(`medium ${i}`)),
    [false, false, true, true],
  );
});

test('a damaged file is as good as none', async (t) => {
  const folder = await temporaryFolder(t);
  for (const text of ['', '{', '[]', '{"schema":2,"told":["x"]}', '{"schema":1,"told":[1]}']) {
    await writeFile(join(folder, 'told.json'), text);
    const told = await Told.open(folder);
    assert.equal(told.has('x'), false);
    await told.add('x');
    assert.equal((await Told.open(folder)).has('x'), true);
  }
});
