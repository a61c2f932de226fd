import assert from 'node:assert/strict';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkMedia } from '../../../src/target/inspect/media-roots.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import { rootInMemory } from '../../support/root-machine.ts';

test('doctor says what each folder of media matches now, and that a link matches nothing', async (t) => {
  const folder = await temporaryFolder(t);
  const [media, other, link] = ['media', 'other', 'link'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [media, other]) await mkdir(path);
  await symlink(media, link);
  const stick = { target: join(media, 'STICK'), source: '/dev/sdb1', fstype: 'vfat', 'maj:min': '8:17' };
  const answer = ([program]: readonly string[]) =>
    program === 'findmnt' ? { stdout: JSON.stringify({ filesystems: [stick] }) } : undefined;
  const said = async (roots: string[], policy = {}) =>
    checkMedia((await rootInMemory(t, { answer, policy, settings: { media: { roots } } })).machine);
  assert.deepEqual(await said([`${media}/`, other]), {
    verdict: 'ok',
    what: `below ${media}: ${media}/STICK; below ${other}: nothing is mounted now`,
  });
  assert.match(
    (await said([media], { sources: { labels: ['UPDATE'] } })).what,
    /STICK \(the policy does not use it\)$/,
  );
  const led = await said([link]);
  assert.deepEqual(
    [led.verdict, led.what],
    ['look', `${link} points to ${media}: a mount point is never reached through a link`],
  );
  const gone = await said([join(folder, 'gone')]);
  assert.match(gone.what, /^cannot read \S+gone yet$/);
  assert.deepEqual(await said([]), { verdict: 'ok', what: 'not used' });
});
