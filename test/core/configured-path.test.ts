import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { policyParser } from '../../src/core/policy/policy.ts';
import { settingsParser } from '../../src/core/policy/settings.ts';

const rootsOf = (...roots: string[]) => settingsParser.parse({ media: { roots } }).media.roots;

test('paths of settings and policy are as mount tables have them, however they are written', () => {
  assert.deepEqual(rootsOf('/run/media/', '/a/../b', '/./mnt//x', '/..', '/'), [
    '/run/media',
    '/b',
    '/mnt/x',
    '/',
    '/',
  ]);
  const policy = policyParser.parse({
    ...{ schema: 1, host: 'web', operation: 'switch', trustedKeys: ['k:x'] },
    sources: { roots: ['/run/media/anna/'] },
    media: { folders: ['/srv/carrier/'] },
  });
  assert.deepEqual([policy.sources.roots, policy.media.folders], [['/run/media/anna'], ['/srv/carrier']]);
  assert.equal(settingsParser.safeParse({ inbox: 'inbox/' }).success, false, 'still absolute');
});

test('whatever is written, the same again changes nothing, and no dot and no empty name is left', () => {
  const name = fc.constantFrom('', '.', '..', 'a', 'b c', '...', '.a');
  fc.assert(
    fc.property(fc.array(name, { maxLength: 8 }), (names) => {
      const [once = ''] = rootsOf(`/${names.join('/')}`);
      assert.deepEqual(rootsOf(once), [once]);
      assert.doesNotMatch(`${once}/`.slice(once === '/' ? 1 : 0), /\/\/|\/\.\.?\//);
    }),
  );
});
