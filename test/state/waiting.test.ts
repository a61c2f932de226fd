/** Which requests get their turn where more wait than could be served. */
import assert from 'node:assert/strict';
import { mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openForeign } from '../../src/files/foreign.ts';
import { findWaiting, mostWaiting } from '../../src/state/waiting.ts';
import { temporaryFolder } from '../support/bundles.ts';

const found = async (t: TestContext, path: string, most: number) => {
  const { path: open, handle } = await openForeign(path);
  t.after(() => handle.close());
  const { newest, ...rest } = await findWaiting({ path: open }, most);
  return { newest: newest.map(String), ...rest };
};

/** So that the kernel's clock tells one from the next, which moves only some hundred times a second. */
async function later(folder: string): Promise<void> {
  const clock = join(folder, '.clock');
  const at = async () => {
    await writeFile(clock, '');
    return (await stat(clock)).ctimeMs;
  };
  const before = await at();
  while ((await at()) === before);
}

test('the newest get their turn, in the order in which they came, whatever their names', async (t) => {
  const folder = await temporaryFolder(t);
  for (const name of ['c', 'a', 'd', 'b']) {
    await writeFile(join(folder, `${name}.json.part`), '');
    await later(folder);
  }
  // As an agent writes them: under another name first.
  for (const name of ['d', 'a', 'c', 'b']) {
    await rename(join(folder, `${name}.json.part`), join(folder, `${name}.json`));
    await later(folder);
  }
  assert.deepEqual(await found(t, folder, 3), {
    newest: ['a.json', 'c.json', 'b.json'],
    passedOver: 0,
    stuck: undefined,
  });
});

test('of more than may wait the oldest go unread, whatever they are; folders that are full are renamed', async (t) => {
  const folder = await temporaryFolder(t);
  const count = 3 * mostWaiting;
  for (let n = 0; n < count; n++) {
    const path = join(folder, `${String(n).padStart(6, '0')}.json`);
    if (n % 3 === 0) await writeFile(path, '');
    else await mkdir(n % 3 === 1 ? path : join(path, 'full'), { recursive: true });
  }
  await writeFile(join(folder, 'other.manifest'), '');
  await later(folder);
  await writeFile(join(folder, '000000-good.json'), '');
  const { newest, passedOver, stuck } = await found(t, folder, 16);
  assert.equal(newest.length, 16);
  assert.equal(newest.at(-1), '000000-good.json');
  assert.equal(stuck, undefined);
  const left = await readdir(folder);
  assert.equal(left.filter((name) => name.endsWith('.json')).length, mostWaiting);
  assert.equal(passedOver, count + 1 - mostWaiting);
  assert.ok(left.includes('other.manifest'));
  assert.ok(left.some((name) => name.startsWith('.put-aside-')));
});

test('a name that is no text is found as it is', async (t) => {
  const folder = await temporaryFolder(t);
  const name = Buffer.from([0xff, ...Buffer.from('.json')]);
  await writeFile(Buffer.concat([Buffer.from(`${folder}/`), name]), '');
  const { path, handle } = await openForeign(folder);
  t.after(() => handle.close());
  assert.deepEqual((await findWaiting({ path }, 16)).newest, [name]);
});
