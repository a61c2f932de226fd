/** What keeps a release off a new disk. Each is noticed before the first byte is written there. */
import assert from 'node:assert/strict';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { bootLive } from '../../machines/live-system.ts';
import { makeKeys, makeWorkshop, plainHost } from '../../support/fleet.ts';
import { installableHost, stickWith } from '../../support/installable.ts';

const shop = await makeWorkshop();
const build = (name: string, host: string, ...args: string[]) =>
  shop.bundle(name, { hosts: { web: host }, args });
const one = await build('one', installableHost(shop, 'one'));
const [recipes, since, plain, other, separate, broken, expired, secret] = await Promise.all([
  build('recipes', installableHost(shop, 'one'), '--content', 'derivation'),
  build('since', installableHost(shop, 'since'), '--since', one),
  build('plain', plainHost('web', 'plain')),
  build('other', installableHost(shop, 'other', { policy: { host: 'lab' } })),
  build(
    'separate',
    installableHost(shop, 'separate', { files: { fstab: 'LABEL=b /boot vfat defaults 0 2\n' } }),
  ),
  build('broken', installableHost(shop, 'broken', { files: { 'nixmaker/policy.json': '{ "schema": 1 }' } })),
  build('expired', installableHost(shop, 'expired'), '--expires', '2026-01-02T00:00:00Z'),
  build(
    'secret',
    installableHost(shop, 'secret', {
      policy: { trustedKeys: ['other:Z/TEv4jcC9c/NvK4PnzV4bp+cIMn1dzGm0aW5mfTfAM='] },
    }),
  ),
]);
const stick = await stickWith(shop, 'one', [one]);
const key = ['--key', shop.keys.publicKey];
const web = ['--host', 'web', ...key];
const stranger = await makeKeys(join(shop.folder, 'keys'), 'stranger');
const live = await bootLive(join(shop.folder, 'live'));
after(() => live.close());
const onDisk = () => live.sh('find /mnt -xdev | sort');
const empty = await onDisk();

async function refused(args: readonly string[], code: string, detail: RegExp): Promise<void> {
  const ran = await live.install(args);
  assert.match(ran.stderr, new RegExp(`\\(${code}\\)`), ran.stdout);
  assert.match(ran.stderr.replaceAll(/\s+/g, ' '), detail);
  assert.notEqual(ran.code, 0);
  assert.equal(await onDisk(), empty, 'nothing was written');
}

describe('a release is not installed', () => {
  for (const [why, args, code, detail] of [
    ['if nobody says whose signatures count', [one], 'usage', /--key/],
    ['if more keys are demanded than given', [one, ...key, '--threshold', '2'], 'usage', /only 1 keys/],
    [
      'if another key has signed it',
      [one, '--key', stranger.publicKey],
      'signature-unknown-key',
      /trusted here: “stranger”/,
    ],
    [
      'if too few have',
      [one, ...key, '--key', stranger.publicKey, '--threshold', '2'],
      'signature-threshold',
      /1 of 2/,
    ],
    [
      'if nobody says which host it is to be',
      [stick, ...key],
      'host-unknown',
      /it has releases for web; name one with --host/,
    ],
    [
      'if the medium has none for the host',
      [stick, ...key, '--host', 'lab'],
      'no-such-host',
      /has no release for lab/,
    ],
    [
      'if it is for another host',
      [one, ...key, '--host', 'lab'],
      'wrong-host',
      /is for web; this machine is to be lab/,
    ],
    ['if it carries recipes only', [recipes, ...key], 'not-installable', /carries recipes only/],
    [
      'if it leaves out what an older machine has',
      [since, ...key],
      'base-missing',
      /it was built for a machine that has it already/,
    ],
    [
      'if it would take no release after it',
      [plain, ...key],
      'not-installable',
      /would never take another release/,
    ],
    ['if its policy is another host’s', [other, ...key], 'not-installable', /policy is for the host lab/],
    ['if its policy can’t be used', [broken, ...key], 'policy-malformed', /policy\.json, line 1/],
    ['if it has expired', [expired, ...key], 'expired', /it expired at 2026-01-02/],
    [
      'if its boot partition is not mounted',
      [separate, ...key],
      'root-unusable',
      /mounts \/boot, and nothing is mounted at \/mnt\/boot/,
    ],
    [
      'on the running system itself',
      [one, ...key, '--root', '/'],
      'root-unusable',
      /root of the running system/,
    ],
    [
      'in a folder that is not there',
      [one, ...key, '--root', '/mnt/none'],
      'root-unusable',
      /is not a folder/,
    ],
    [
      'where nothing is mounted',
      [one, ...key, '--root', '/mnt/tmp'],
      'root-unusable',
      /nothing is mounted at \/mnt\/tmp/,
    ],
  ] as const)
    test(why, () => refused(args, code, detail));

  test('if the medium has lost or changed a byte of it', async () => {
    const copy = join(shop.folder, 'sticks/altered');
    await cp(stick, copy, { recursive: true });
    const nars = join(copy, 'nixmaker/cache/nar');
    const [folder = ''] = await readdir(nars);
    const [name = ''] = await readdir(join(nars, folder));
    const file = join(nars, folder, name);
    const bytes = await readFile(file);
    await writeFile(file, bytes.subarray(0, bytes.length - 1));
    await refused([copy, ...web], 'bundle-truncated', /bytes|kB|B /);
    bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
    await writeFile(file, bytes);
    await refused([copy, ...web], 'bundle-altered', /is damaged/);
  });

  test('if others can’t reach the new root, or it is not root’s', async () => {
    await live.sh('chmod 0700 /mnt');
    await refused([one, ...key], 'root-unusable', /mode 700; it must be 755/);
    await live.sh('chmod 0755 /mnt; chown 1:1 /mnt');
    await refused([one, ...key], 'root-unusable', /must belong to root/);
    await live.sh('chown 0:0 /mnt');
  });

  test('if it does not fit, in the store or beside the boot loader', async () => {
    await live.sh('fallocate -l $(($(stat -f -c "%a * %S" /mnt) - 400000)) /run/../mnt/tmp/ballast');
    const full = await live.install([one, ...key]);
    assert.match(full.stderr, /\(no-space\)/);
    assert.match(full.stderr, /must stay free|needed/);
    await live.sh('rm /mnt/tmp/ballast; mount -t tmpfs -o size=64k small /mnt/boot');
    const ran = await live.install([one, ...key]);
    assert.match(ran.stderr, /needed in \/mnt\/boot[\s\S]*\(no-boot-space\)/);
    await live.sh('umount /mnt/boot');
    assert.equal(await onDisk(), empty);
  });

  test('if a link in the new root leads out of it', async () => {
    await live.sh('mkdir -p /mnt/var/lib; ln -s /tmp /mnt/var/lib/nixmaker');
    const ran = await live.install([one, ...key]);
    assert.match(ran.stderr, /leads out of the new system[\s\S]*\(root-unusable\)/);
    await live.sh('rm -r /mnt/var');
    assert.equal(await onDisk(), empty);
  });
});

test('a dry run checks everything and writes nothing; what the new machine’s own policy trusts is compared', async () => {
  const ran = await live.install([secret, ...key, '--dry-run']);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /^would install: web 1, signed by fleet-1/);
  assert.match(ran.stderr, /By its own policy .* \(signature-unknown-key/);
  assert.equal(await onDisk(), empty);
});
