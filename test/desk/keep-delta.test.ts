/** Deltas of several hosts in one place. */
import assert from 'node:assert/strict';
import { open, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { keepDelta } from '../../src/desk/build/deltas.ts';
import { temporaryFolder } from '../support/bundles.ts';

test('a delta that another host copies meanwhile is not written again', async (t) => {
  const folder = await temporaryFolder(t);
  const delta = Buffer.from('what both hosts need');
  const { file } = await keepDelta(folder, delta);
  // As if it were half read: whoever wrote it again would put what is here back.
  const copying = await open(file, 'r+');
  t.after(() => copying.close());
  await copying.write('WHAT');
  assert.equal((await keepDelta(folder, delta)).file, file);
  assert.equal(await readFile(file, 'utf8'), 'WHAT both hosts need');
  assert.notEqual((await keepDelta(folder, Buffer.from('other'))).file, file);
});
