/** A mount point at which nothing is mounted is no medium. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type MediumPlace, unmountedBecause } from '../../src/desk/pool/medium-place.ts';
import { writeTestBundle } from '../support/bundles.ts';
import { makeDesk } from '../support/desk.ts';

const place = (path: string, more: Partial<MediumPlace> = {}): MediumPlace => ({
  ...{ path, isEmpty: true, mounted: ['/', '/run', '/home'], mountPoints: ['/', '/home'], ...more },
});
const fstab = ['/', '/srv/stick'];

for (const [what, given, why] of [
  ['an empty folder where people mount', place('/mnt/stick'), /^\/mnt\/stick is an empty folder/],
  ['one below the system’s own mounts', place('/run/media/op/STICK'), /^\/run\/media\/op\/STICK is an empty/],
  ['one with something in it', place('/mnt/carrier', { isEmpty: false }), undefined],
  ['one that is mounted', place('/mnt/stick', { mounted: ['/', '/mnt/stick'] }), undefined],
  ['a folder on what is mounted', place('/mnt/stick/a', { mounted: ['/', '/mnt/stick'] }), undefined],
  ['/mnt itself, mounted', place('/mnt', { mounted: ['/', '/mnt'] }), undefined],
  ['an empty folder elsewhere', place('/home/op/out'), undefined],
  ['one whose name only begins so', place('/mnt2/out'), undefined],
  ['one that fstab names', place('/srv/stick', { mountPoints: fstab }), /^\/srv\/stick is a mount point in/],
  ['what lies below it', place('/srv/stick/a', { isEmpty: false, mountPoints: fstab }), /^\/srv\/stick is a/],
  [
    'one that fstab names and that is mounted',
    place('/srv/stick', { mounted: ['/', '/srv/stick'], mountPoints: fstab }),
    undefined,
  ],
  ['where fstab has the root only', place('/srv/stick', { mountPoints: ['/'] }), undefined],
] as const)
  test(`${what}: ${why === undefined ? 'is written to' : 'is no medium'}`, () => {
    const because = unmountedBecause(given);
    if (why === undefined) assert.equal(because, undefined);
    else assert.match(because ?? '', why);
  });

test('put asks before it builds, writes once the medium is there, and where a person insists', async () => {
  const { folder, builder, nixmaker, keys } = await makeDesk();
  const bundle = join(folder, 'web.tar');
  await writeTestBundle(bundle, {});
  const medium = '/run/media/op/STICK';
  await builder.run(['mkdir', '-p', medium]);
  for (const what of [[bundle], ['-f', 'path:/nowhere', '--key', keys.secretFile]]) {
    const ran = await nixmaker('put', medium, ...what);
    assert.equal(ran.code, 1, ran.stderr);
    assert.match(
      ran.stderr,
      /STICK is an empty folder with nothing mounted.*--plain-folder\n.*\(no-medium\)/s,
    );
  }
  assert.equal(existsSync(join(folder, 'builder', medium, 'nixmaker')), false);
  await builder.run(['mount', '-t', 'tmpfs', 'stick', medium]);
  assert.match((await nixmaker('put', medium, bundle)).stdout, /written and read back/);
  await builder.run(['umount', medium]);
  assert.equal((await nixmaker('put', medium, bundle)).code, 1);
  assert.match((await nixmaker('put', medium, bundle, '--plain-folder')).stdout, /written and read back/);
});
