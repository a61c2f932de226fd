/** Root’s answers to who asked for room. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRoomAnswer, writeRoomAnswer } from '../../src/state/freed.ts';
import { temporaryFolder } from '../support/bundles.ts';

test('only the newest answer is kept', async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'rooms'));
  assert.equal(await readRoomAnswer(folder, 'aaaaaaaaaaaa'), undefined);
  await writeRoomAnswer(folder, 'aaaaaaaaaaaa', { refusal: 'not that one' });
  assert.deepEqual(await readRoomAnswer(folder, 'aaaaaaaaaaaa'), { refusal: 'not that one' });
  await writeRoomAnswer(folder, 'bbbbbbbbbbbb', { refusal: 'nor that' });
  assert.equal(await readRoomAnswer(folder, 'aaaaaaaaaaaa'), undefined);
  assert.deepEqual(await readRoomAnswer(folder, 'bbbbbbbbbbbb'), { refusal: 'nor that' });
});
