/** The release’s own disk script: signed with it, and run only for the disks that were named. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { bootLive } from '../../machines/live-system.ts';
import { makeWorkshop } from '../../support/fleet.ts';
import { installableHost } from '../../support/installable.ts';

const shop = await makeWorkshop();
const live = await bootLive(join(shop.folder, 'live'));
const loop = (
  await live.sh(`
umount -R /mnt
# What this machine itself has mounted there is out of sight.
umount -R /mnt || true
mount -t tmpfs none /dev/shm
truncate --size=200M ${live.folder}/new.img ${live.folder}/other.img
losetup --find --show ${live.folder}/new.img`)
).trim();
const other = (await live.sh(`losetup --find --show ${live.folder}/other.img`)).trim();
await live.sh(`ln -s ${loop} /dev/shm/new; ln -s ${other} /dev/shm/other`);
after(async () => {
  await live.sh(`umount -R /mnt || true; losetup --detach ${loop}; losetup --detach ${other}`);
  live.close();
});

const userland = `
mkdir -m 1777 /mnt/tmp; mkdir /mnt/usr /mnt/run /mnt/boot; mount --bind /usr /mnt/usr
for entry in /bin /lib*; do if [ -L $entry ]; then cp -P $entry /mnt$entry; else mkdir /mnt$entry; mount --bind $entry /mnt$entry; fi; done`;
const script = `mkfs.ext4 -q -F /dev/shm/new; mount /dev/shm/new /mnt; rmdir /mnt/lost+found; chmod 755 /mnt${userland}`;
const withScript = (name: string, lines: string, ...disks: string[]) =>
  shop.bundle(name, {
    hosts: { web: installableHost(shop, name, { disk: { script: lines, disks } }) },
  });
const one = await withScript('one', script, '/dev/shm/new');
const plain = await shop.bundle('plain', { hosts: { web: installableHost(shop, 'plain') } });
const fails = await withScript('fails', 'echo no such table >&2; exit 3', '/dev/shm/new');
const key = ['--key', shop.keys.publicKey];
const signature = () => live.sh(`od -A n -t x1 -N 2048 ${loop} | sha256sum`);
const untouched = await signature();

describe('nothing is overwritten', () => {
  for (const [why, args, code, detail] of [
    ['if no disk was named', [one], 'disk-unconfirmed', /overwrites \/dev\/shm\/new; named were none/],
    [
      'if another was named',
      [one, '--disk', '/dev/shm/other'],
      'disk-unconfirmed',
      /named were \/dev\/shm\/other/,
    ],
    [
      'if one more was named',
      [one, '--disk', '/dev/shm/new', '--disk', '/dev/shm/other'],
      'disk-unconfirmed',
      /named were/,
    ],
    [
      'if the release has no script',
      [plain, '--disk', '/dev/shm/new'],
      'disk-unusable',
      /the release has no etc\/nixmaker\/disk-script/,
    ],
  ] as const)
    test(why, async () => {
      const ran = await live.install([...args, ...key, '--format', '--json']);
      const said = JSON.parse(ran.stdout);
      assert.equal(said.code, code, ran.stdout);
      assert.match(said.detail, detail);
      assert.equal(await signature(), untouched);
    });

  test('if the disk is in use', async () => {
    await live.sh(
      `mkfs.ext4 -q -F ${other}; mkdir -p /dev/shm/at; mount ${other} /dev/shm/at; ln -sfn ${other} /dev/shm/new`,
    );
    const ran = await live.install([one, ...key, '--format', '--disk', '/dev/shm/new', '--json']);
    await live.sh(`umount /dev/shm/at; ln -sfn ${loop} /dev/shm/new`);
    const said = JSON.parse(ran.stdout);
    assert.equal(said.code, 'disk-unusable', ran.stdout);
    assert.match(said.detail, /is in use: \/dev\/shm\/at/);
  });

  test('on a dry run', async () => {
    const ran = await live.install([one, ...key, '--format', '--disk', '/dev/shm/new', '--dry-run']);
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stdout, /would overwrite: \/dev\/shm\/new, empty/);
    assert.equal(await signature(), untouched);
  });
});

test('a build that must bring a script fails where there is none', async () => {
  const build = (name: string) =>
    shop.builder.nixmaker([
      ...[
        'build',
        '--flake',
        `path:${join(shop.folder, 'flakes', name)}`,
        '--dir',
        join(shop.folder, 'out-2', name),
      ],
      ...['--key', shop.keys.secretFile, '--with-disk-script'],
    ]);
  assert.equal((await build('one')).code, 0);
  const ran = await build('plain');
  assert.match(ran.stderr + ran.stdout, /the system of web has no etc\/nixmaker\/disk-script/);
});

test('what a script says when it fails is shown', async () => {
  const ran = await live.install([fails, ...key, '--format', '--disk', '/dev/shm/new', '--json']);
  const said = JSON.parse(ran.stdout);
  assert.equal(said.code, 'install-failed', ran.stdout);
  assert.match(said.detail, /the disk script ended with 3: no such table/);
});

test('an empty disk is formatted, mounted and installed, twice if asked twice', async () => {
  for (const _ of [1, 2]) {
    const ran = await live.install([one, ...key, '--format', '--disk', '/dev/shm/new', '--json']);
    assert.equal(ran.code, 0, ran.stdout + ran.stderr);
    assert.match(await live.sh('cat /mnt/boot/loader/loader.conf'), /^default nixos-/);
    const again = await live.install([one, ...key, '--format', '--disk', '/dev/shm/new', '--json']);
    assert.equal(JSON.parse(again.stdout).code, 'root-unusable');
    assert.match(JSON.parse(again.stdout).detail, /where something is mounted already/);
    await live.sh('umount -R /mnt');
  }
  const args = [one, ...key, '--format', '--disk', '/dev/shm/new', '--dry-run', '--json'];
  const { overwrites } = JSON.parse((await live.install(args)).stdout);
  assert.deepEqual(overwrites, { disks: ['/dev/shm/new'], empty: false, named: true });
});
