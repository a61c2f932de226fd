import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { serveBundle } from '../../src/bundle/binary-cache.ts';
import { readMember } from '../../src/bundle/contents.ts';
import { narOf } from '../../src/bundle/nar.ts';
import { openTestBundle, temporaryFolder, writeTestBundle } from '../support/bundles.ts';

test('the cache serves the members under its secret path, and nothing anywhere else', async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  await writeTestBundle(path, { narSizes: [600_000, 20] });
  const bundle = await openTestBundle(path);
  const cache = await serveBundle(bundle, { secret: 'secret', narOf });
  t.after(() => cache.close());
  for (const member of bundle.placed) {
    const head = await fetch(`${cache.url}/${member.name}`, { method: 'HEAD' });
    assert.equal(head.headers.get('content-length'), String(member.size));
    const answer = await fetch(`${cache.url}/${member.name}`);
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), await readMember(bundle, member));
  }
  const { origin } = new URL(cache.url);
  for (const wrong of [
    `${origin}/nix-cache-info`,
    `${origin}/other/meta`,
    `${cache.url}/../secret/manifest.json`,
    `${cache.url}/x`,
  ]) {
    assert.equal((await fetch(wrong)).status, 404, wrong);
  }
  assert.equal((await fetch(`${cache.url}/meta`, { method: 'PUT', body: 'x' })).status, 404);
  await bundle.file.close();
});

test('a member altered after it was checked breaks the download, and the cache says why', async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  await writeTestBundle(path, { narSizes: [600_000, 20] });
  const bundle = await openTestBundle(path);
  const cache = await serveBundle(bundle, { secret: 'secret', narOf });
  t.after(() => cache.close());
  const large = bundle.placed.find((m) => m.size === 600_000);
  assert.ok(large !== undefined);
  const file = await open(path, 'r+');
  await file.write(Buffer.from('changed'), 0, 7, large.position + 1000);
  await file.close();
  await assert.rejects(fetch(`${cache.url}/${large.name}`).then((r) => r.arrayBuffer()));
  assert.equal(cache.fault()?.code, 'bundle-altered');
  await bundle.file.close();
});
