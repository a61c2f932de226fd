/** Switches that are wrong, hang, or replace who asked for them; and who may do them by hand. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { systemWith } from '../../support/system-with.ts';
import { bed, drop, release, report, shop } from './scene.ts';

test('the command line, as root, shares floor and history with the helper', async () => {
  const path = await release('by-hand', 600);
  await bed.write('/root/by-hand.tar', await readFile(path));
  assert.match(await bed.sh('nixmaker switch --tarball /root/by-hand.tar'), /^DONE\n/);
  const older = await bed.run(['nixmaker', 'switch', '--tarball', '/root/by-hand.tar']);
  assert.match(older.stdout, /already taken/);
  await drop(await release('late', 590), 'late.tar');
  assert.match(await report('refused', 'late.tar'), /sequence-older/);
  assert.match(await bed.sh('nixmaker history'), /601 +done.*by-hand\.tar/);
});

test('a unit that fails after the switch brings the previous system back; one that had failed before does not', async () => {
  await bed.write(
    '/etc/systemd/system/broken-before.service',
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
    health: {
      settle: 0,
      interval: 0.1,
      units: ['nix-daemon.socket'],
      // The helper itself has no network and may write nowhere: what it sees must not count.
      tcp: [{ port: 7070 }],
      commands: [['sh', '-c', 'touch /run/looked && test "$(ls -d /home)" = /home']],
      systemRunning: false,
    },
  };
  await bed.write('/etc/nixmaker/policy.json', JSON.stringify(policy));
  await bed.sh('systemctl restart nixmaker.service');
  await bed.sh(
    "systemd-run --quiet --unit listener /opt/node/bin/node -e \"require('net').createServer().listen(7070, '127.0.0.1')\"; ip link set lo up 2>/dev/null || true",
  );
  const before = await bed.sh('readlink /run/current-system');
  // A switch forgets what had failed, and then starts what the active targets want.
  const broken = `units."broken-after.service" = "[Service]\\nType=oneshot\\nExecStart=/bin/false\\n";`;
  const wanting = `units."multi-user.target" = "[Unit]\\nRequires=basic.target\\nAfter=basic.target\\nAllowIsolate=yes\\nWants=broken-after.service\\n";`;
  const host = `mkSystem { hostName = "web"; motd = "ill"; ${broken} ${wanting} }`;
  await drop(await shop.bundle('ill', { hosts: { web: host }, args: ['--sequence', '700'] }), 'ill.tar');
  const ill = await report('refused', 'ill.tar');
  assert.match(ill, /Health: +ok +unit nix-daemon\.socket is active\n/);
  assert.match(ill, /Health: +ok +127\.0\.0\.1 port 7070 answers\n/);
  assert.match(ill, /Health: +ok +sh -c touch/);
  assert.match(ill, /Health: +BAD +no unit has newly failed: broken-after\.service\n/);
  assert.equal(await bed.sh('readlink /run/current-system'), before);
  await drop(await release('well', 710), 'well.tar');
  assert.match(await report('done', 'well.tar'), /Health: +ok +no unit has newly failed\n/);
  // One that crashes for ever, with pauses that keep it from ever counting as failed.
  const crash = 'ExecStart=/bin/false\\nRestart=always\\nRestartSec=1\\n';
  const flapping = `units."flapping.service" = "[Unit]\\nStartLimitIntervalSec=0\\n[Service]\\n${crash}";`;
  const flaps = `mkSystem { hostName = "web"; motd = "flaps"; ${flapping} ${wanting.replace('broken-after', 'flapping')} }`;
  await drop(await shop.bundle('flaps', { hosts: { web: flaps }, args: ['--sequence', '720'] }), 'flaps.tar');
  const unsteady = await report('refused', 'flaps.tar');
  assert.match(unsteady, /Health: +ok +no unit has newly failed\n/);
  assert.match(unsteady, /Health: +BAD +no unit keeps restarting: flapping\.service\n/);
});

test('a boot partition that fstab names and nobody has mounted: nothing is written into the folder below it', async () => {
  const path = await release('unmounted', 730);
  await bed.write('/root/unmounted.tar', await readFile(path));
  await bed.write('/etc/fstab', 'LABEL=ESP /boot vfat defaults 0 2\n');
  const entries = 'find /boot -type f | sort | xargs -r sha256sum';
  const before = await bed.sh(entries);
  const refused = await bed.run(['nixmaker', 'switch', '--tarball', '/root/unmounted.tar']);
  assert.equal(refused.code, 75, refused.stdout + refused.stderr);
  assert.match(
    refused.stdout,
    /\/boot is listed in \/etc\/fstab but not mounted.*\(boot-not-mounted\)|boot-not-mounted/s,
  );
  assert.equal(await bed.sh(entries), before);
  const doctor = await bed.run(['nixmaker', 'doctor']);
  assert.match(doctor.stdout, /BAD +boot +\/boot: in \/etc\/fstab but not mounted/);
  await bed.sh('cp -a /boot /root/esp && mount --bind /root/esp /boot');
  try {
    await drop(path, 'unmounted.tar');
    assert.match(await report('done', 'unmounted.tar'), /committed|DONE|installed and running/);
    assert.notEqual(await bed.sh(entries), before);
  } finally {
    await bed.sh('umount /boot; rm /etc/fstab; cp -a /root/esp/. /boot/');
  }
});

test('a switch that hangs is ended when its time is up, with all it has started, and rolled back', async () => {
  await bed.write('/etc/nixmaker/settings.json', JSON.stringify({ switchDeadline: 20 }));
  const before = await bed.sh('readlink /run/current-system');
  await drop(await release('hanging', 800, 'if [ "${1:-}" = switch ]; then sleep 7777; fi'), 'hanging.tar');
  assert.match(
    await report('refused', 'hanging.tar'),
    /^ROLLED BACK, the previous system was restored\n.*switch-to-configuration: hung/s,
  );
  assert.equal(await bed.sh('readlink /run/current-system'), before);
  assert.equal((await bed.run(['pgrep', '-f', 'sleep 7777'])).code, 1);
  await bed.sh('rm /etc/nixmaker/settings.json');
});

test('an agent that is replaced by the switch it asked for is an ordinary thing', async () => {
  const restart =
    'if [ "${1:-}" = switch ]; then systemctl --no-block restart nixmaker.service nixmaker-activate.path; fi';
  await drop(await release('replacing', 810, restart), 'replacing.tar');
  assert.match(await report('done', 'replacing.tar'), /^DONE\n/);
  assert.match(await bed.sh('cat /run/current-system/etc/motd'), /replacing/);
  await bed.until('test "$(systemctl is-active nixmaker.service)" = active');
  assert.equal(
    await bed.sh('readlink /run/current-system'),
    await bed.sh('readlink "/nix/var/nix/profiles/$(readlink /nix/var/nix/profiles/system)"'),
  );
});

test('while the garbage collector runs all the time, nothing that is on its way is lost', async () => {
  await bed.sh(
    'touch /run/collect; (while [ -e /run/collect ]; do nix-collect-garbage; done) >/run/collected 2>&1 &',
  );
  await bed.until('test "$(grep -c "store paths deleted" /run/collected)" -ge 1');
  await drop(await release('collected', 820), 'collected.tar');
  const text = await report('done', 'collected.tar');
  await bed.sh('rm /run/collect');
  assert.match(text, /^DONE\n/);
  const verified = await bed.run(['sh', '-c', 'nix-store --verify --check-contents 2>&1']);
  assert.doesNotMatch(verified.stdout, /modified|disappeared|error/);
});

test('a system whose own nixmaker can’t use the policy that it leaves is rolled back; one whose can is kept', async () => {
  const policy = await bed.sh('cat /etc/nixmaker/policy.json');
  await drop(await release('before-locking', 825), 'before-locking.tar');
  assert.match(await report('done', 'before-locking.tar'), /^DONE\n/);
  const before = await bed.sh('readlink /run/current-system');
  const own = `mkdir -p $out/sw/bin; printf '#!/bin/sh\\necho "$@" >>/run/asked-nixmaker\\nexec nixmaker "$@"\\n' >$out/sw/bin/nixmaker; chmod +x $out/sw/bin/nixmaker`;
  const make = (name: string, sequence: number, switchPrelude: string) =>
    shop.bundle(name, {
      hosts: { web: systemWith(name, own) },
      args: ['--sequence', String(sequence)],
      switchPrelude,
    });
  const breaks = '[ "${1:-}" != switch ] || echo "{}" >/etc/nixmaker/policy.json';
  await drop(await make('locking', 830, breaks), 'locking.tar');
  const text = await report('refused', 'locking.tar');
  assert.match(text, /^ROLLED BACK, the previous system was restored\n/);
  assert.match(text, /Code: +configuration-unusable\n/);
  assert.match(text, /sw\/bin\/nixmaker rejects \/etc\/nixmaker\/policy\.json: .*policy-malformed/);
  assert.equal(await bed.sh('readlink /run/current-system'), before);
  // Not even this, which no system brings, keeps a person from going back.
  assert.match(await bed.sh('nixmaker rollback'), /^DONE\n/);
  await bed.write('/etc/nixmaker/policy.json', policy);
  await bed.sh('systemctl restart nixmaker.service');
  await drop(await make('unlocked', 840, ':'), 'unlocked.tar');
  assert.match(await report('done', 'unlocked.tar'), /^DONE\n/);
  assert.equal(await bed.sh('cat /run/asked-nixmaker'), 'check-policy /etc/nixmaker/policy.json\n'.repeat(2));
});
