import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Bed, startBed, unitText } from '../support/bed.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const disk = join(shop.folder, 'bed');
await mkdir(disk);
const bed: Bed = await startBed(disk);
after(() => bed.stop());

await bed.write(
  '/etc/nix/nix.conf',
  `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\ntrusted-users =\ntrusted-public-keys = ${shop.keys.publicKey}\n`,
);
await bed.write(
  '/etc/nixmaker/policy.json',
  JSON.stringify({ schema: 1, host: 'web', operation: 'switch', trustedKeys: [shop.keys.publicKey] }),
);
await bed.write('/etc/systemd/system/nixmaker.service', unitText('nixmaker.service'));
await bed.sh(
  'systemctl daemon-reload; systemctl start nixmaker.service; systemctl is-active nixmaker.service',
);

const release = (name: string, sequence: number, switchPrelude?: string) =>
  shop.bundle(name, {
    hosts: { web: plainHost('web', name) },
    args: ['--sequence', String(sequence)],
    ...(switchPrelude === undefined ? {} : { switchPrelude }),
  });
const drop = async (path: string, name: string) =>
  bed.write(`/var/lib/nixmaker/inbox/${name}`, await readFile(path));
const report = async (folder: string, name: string) => {
  await bed.until('test -e "$1"', `/var/lib/nixmaker/inbox/${folder}/${name}.txt`);
  return bed.sh('cat "$1"', `/var/lib/nixmaker/inbox/${folder}/${name}.txt`);
};

test('as a service, with nothing set but policy and keys, a bundle becomes the running system', async () => {
  await drop(await release('one', 0), 'one.tar');
  assert.match(await report('done', 'one.tar'), /^DONE\n.*the system is now: one/s);
  assert.match(await bed.sh('readlink /run/current-system'), /nixos-system-web/);
  assert.equal(await bed.sh('readlink /nix/var/nix/profiles/system'), 'system-1-link\n');
});

test('the switch runs in transient units of its own, and what it says is in the journal', async () => {
  const units = await bed.sh(
    'journalctl --no-pager --output=json | grep -o \'"UNIT":"nixmaker-switch-[^"]*\' | sort -u',
  );
  assert.match(units, /nixmaker-switch-[0-9a-f]{12}-boot-1\.service/);
  assert.match(units, /nixmaker-switch-[0-9a-f]{12}-switch-1\.service/);
});

test('the log has priorities, and the transaction on every line of a run', async () => {
  const lines = (await bed.sh('journalctl --no-pager --unit nixmaker --output=json'))
    .trimEnd()
    .split('\n')
    .map((l) => JSON.parse(l) as { PRIORITY: string; MESSAGE: string });
  const events = lines
    .filter((l) => l.MESSAGE.startsWith('{'))
    .map((l) => ({
      priority: l.PRIORITY,
      ...(JSON.parse(l.MESSAGE) as { event: string; transaction?: string }),
    }));
  const committed = events.find((e) => e.event === 'committed');
  assert.equal(committed?.priority, '6');
  const run = events.filter((e) => e.transaction === committed?.transaction).map((e) => e.event);
  assert.deepEqual(run, [
    'discovered',
    'verified',
    'accepted',
    'imported',
    'realised',
    'profile-set',
    'boot-entry',
    'switched',
    'healthy',
    'committed',
    'settled',
  ]);
});

test('a switch that fails is rolled back, and logged as an error', async () => {
  const before = await bed.sh('readlink /run/current-system');
  await drop(
    await release('bad', 10, 'if [ "${1:-}" = switch ]; then echo "the unit said no" >&2; exit 2; fi'),
    'bad.tar',
  );
  assert.match(
    await report('refused', 'bad.tar'),
    /^FAILED, the previous system was put back\n.*exit 2.*the unit said no/s,
  );
  assert.equal(await bed.sh('readlink /run/current-system'), before);
  assert.equal(await bed.sh('readlink /nix/var/nix/profiles/system'), 'system-1-link\n');
  assert.match(
    await bed.sh('journalctl --no-pager --unit nixmaker --priority err --output=cat'),
    /"event":"rolled-back"/,
  );
});

test('an agent killed in the middle of a switch does not take the switch with it, and finishes the run after its restart', async () => {
  await drop(
    await release(
      'killed',
      20,
      'if [ "${1:-}" = switch ]; then touch /run/switching; while [ ! -e /run/go ]; do sleep 0.05; done; touch /run/switch-went-on; fi',
    ),
    'killed.tar',
  );
  await bed.until('test -e /run/switching');
  const pid = await bed.sh('systemctl show --property MainPID --value nixmaker.service');
  await bed.sh('systemctl kill --kill-whom=main --signal=KILL nixmaker.service');
  await bed.until('test ! -e /proc/$1', pid.trim());
  assert.equal((await bed.run(['test', '-e', '/run/switch-went-on'])).code, 1);
  await bed.sh('touch /run/go');
  await bed.until('test -e /run/switch-went-on');
  await bed.sh('systemctl restart nixmaker.service');
  assert.match(await report('done', 'killed.tar'), /^DONE\n/);
  assert.match(await bed.sh('cat /run/current-system/etc/motd'), /killed/);
});

test('a unit that fails after the switch brings the previous system back; one that had failed before does not', async () => {
  await bed.write(
    '/etc/systemd/system/broken-before.service',
    '[Service]\nType=oneshot\nExecStart=/bin/false\n',
  );
  await bed.write(
    '/etc/systemd/system/broken-after.service',
    '[Service]\nType=oneshot\nExecStart=/bin/false\n',
  );
  await bed.sh(
    'systemctl daemon-reload; systemctl start broken-before.service || true; systemctl is-failed broken-before.service',
  );
  const policy = {
    schema: 1,
    host: 'web',
    operation: 'switch',
    trustedKeys: [shop.keys.publicKey],
    health: { settle: 0, interval: 0.1, units: ['nix-daemon.socket'] },
  };
  await bed.write('/etc/nixmaker/policy.json', JSON.stringify(policy));
  await bed.sh('systemctl restart nixmaker.service');
  const before = await bed.sh('readlink /run/current-system');
  await drop(
    await release(
      'ill',
      30,
      'if [ "${1:-}" = switch ]; then systemctl start broken-after.service || true; fi',
    ),
    'ill.tar',
  );
  const ill = await report('refused', 'ill.tar');
  assert.match(ill, /Health: +ok +unit nix-daemon\.socket is active\n/);
  assert.match(ill, /Health: +BAD +no further unit has failed: broken-after\.service\n/);
  assert.equal(await bed.sh('readlink /run/current-system'), before);
  await bed.sh('systemctl reset-failed broken-after.service');
  await drop(await release('well', 40), 'well.tar');
  assert.match(await report('done', 'well.tar'), /Health: +ok +no further unit has failed\n/);
});

test('the agent is nobody special to the Nix daemon', async () => {
  const ran = await bed.run(['sh', '-c', 'nix store info --store daemon 2>&1']);
  assert.match(ran.stdout, /Trusted: 0/);
});
