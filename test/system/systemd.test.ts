import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { messageIdOf } from '../../src/report/message-id.ts';
import { type Bed, bedNode, startBed, unitText } from '../machines/bed.ts';
import { checkout } from '../machines/program.ts';
import { makeKeys, makeWorkshop, plainHost } from '../support/fleet.ts';
import { takeApart } from '../support/forge.ts';

const shop = await makeWorkshop();
const disk = join(shop.folder, 'bed');
await mkdir(disk);
const bed: Bed = await startBed(disk);
after(() => bed.stop());

await bed.write(
  '/etc/nix/nix.conf',
  `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\ntrusted-public-keys = ${shop.keys.publicKey}\n!include /var/lib/nixmaker/activation/store-key.conf\n`,
);
await bed.write(
  '/etc/nixmaker/policy.json',
  JSON.stringify({ schema: 1, host: 'web', operation: 'switch', trustedKeys: [shop.keys.publicKey] }),
);
const units = [
  'nixmaker.service',
  'nixmaker-activate.path',
  'nixmaker-activate.service',
  'nixmaker-confirm.service',
  'nixmaker-reboot.service',
  'nixmaker-medium@.service',
  'nixmaker-receipts.path',
  'nixmaker-receipts.service',
  'nixmaker-store-key.service',
];
for (const unit of units) await bed.write(`/etc/systemd/system/${unit}`, unitText(unit));
await bed.sh(
  'systemctl daemon-reload; systemctl start nixmaker-confirm.service nixmaker-activate.path nixmaker.service; systemctl is-active nixmaker.service',
);

const release = (name: string, sequence: number, switchPrelude?: string) =>
  shop.bundle(name, {
    hosts: { web: plainHost('web', name) },
    args: ['--sequence', String(sequence)],
    ...(switchPrelude === undefined ? {} : { switchPrelude }),
  });
/** Grows with every bundle that comes. */
let sequence = 20;
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
  assert.match(units, /nixmaker-switch-[0-9a-f]{12}-boot-1-\d+\.service/);
  assert.match(units, /nixmaker-switch-[0-9a-f]{12}-switch-1-\d+\.service/);
});

test('systemd is told what the agent is about, and that it lives', async () => {
  const shown = await bed.sh(
    'systemctl show nixmaker --property=Type,StatusText,WatchdogUSec,NotifyAccess,WatchdogTimestamp',
  );
  assert.match(shown, /^Type=notify$/m);
  assert.match(shown, /^WatchdogUSec=3min$/m);
  await bed.until('systemctl show nixmaker --property=StatusText | grep -q "sequence .*: committed"');
});

test('the agent is alone in its network: it sees nothing but its own loopback', async () => {
  const pid = (await bed.sh('systemctl show nixmaker --property=MainPID --value')).trim();
  const links = await bed.sh('cat "$1"', `/proc/${pid}/net/dev`);
  const names = links.split('\n').flatMap((line) => /^\s*([a-z0-9]+):/.exec(line)?.[1] ?? []);
  assert.deepEqual(names, ['lo']);
  const [its, ours] = await Promise.all([
    bed.sh('readlink "$1"', `/proc/${pid}/ns/net`),
    bed.sh('readlink /proc/1/ns/net'),
  ]);
  assert.notEqual(its, ours);
});

test('the agent has no memory that is writable and executable, and can’t get any', async () => {
  const pid = (await bed.sh('systemctl show nixmaker --property=MainPID --value')).trim();
  const maps = await bed.sh('cat "$1"', `/proc/${pid}/maps`);
  assert.match(maps, / r-xp /);
  assert.doesNotMatch(maps, / rwx[ps] /);
  // With the compiler it would not get far: that is how one sees that the ban holds.
  const properties = ['--property=MemoryDenyWriteExecute=yes', '--property=NoNewPrivileges=yes'];
  const banned = await bed.run(['systemd-run', '--quiet', '--wait', ...properties, bedNode, '-e', '0']);
  assert.notEqual(banned.code, 0);
});

test('each ending is an entry of its own in the journal, which the catalogue explains', async () => {
  await bed.write(
    '/usr/lib/systemd/catalog/nixmaker.catalog',
    await readFile(join(checkout, 'share/systemd/nixmaker.catalog')),
  );
  await bed.sh('journalctl --update-catalog');
  await bed.write('/var/lib/nixmaker/inbox/explained.tar', Buffer.alloc(64 * 1024, 7));
  await report('refused', 'explained.tar');
  await bed.until('journalctl --no-pager NIXMAKER_CODE=not-a-bundle | grep -q nixmaker:');
  const explained = await bed.sh('journalctl --no-pager --catalog NIXMAKER_CODE=not-a-bundle');
  assert.match(explained, /Subject: nixmaker: The file is not a nixmaker bundle/);
  assert.match(explained, /explained\.tar/);
  assert.match(explained, /The running system was not changed/);
  const [line = ''] = (await bed.sh('journalctl --no-pager --output=json NIXMAKER_CODE=not-a-bundle')).split(
    '\n',
  );
  const entry = JSON.parse(line) as Record<string, string>;
  assert.deepEqual([entry.PRIORITY, entry.MESSAGE_ID], ['4', messageIdOf('not-a-bundle')]);
});

test('hooks are run after a run with what became of it; one that others may write is not', async () => {
  const hook =
    '#!/bin/sh\necho "$NIXMAKER_STATE $NIXMAKER_CODE $(id -un)" >>/var/lib/nixmaker/state/hooked\n';
  await bed.write('/etc/nixmaker/hooks.d/10-tell', hook);
  await bed.write('/etc/nixmaker/hooks.d/20-foreign', hook.replace('hooked', 'foreign'));
  await bed.write('/etc/nixmaker/hooks.d/30-fails', '#!/bin/sh\nexit 3\n');
  await bed.write('/etc/nixmaker/hooks.d/40-editor.bak', hook.replace('hooked', 'foreign'));
  await bed.sh('chmod 0755 /etc/nixmaker/hooks.d/*; chmod 0775 /etc/nixmaker/hooks.d/20-foreign');
  await bed.write('/var/lib/nixmaker/inbox/hooked.tar', Buffer.alloc(64 * 1024, 8));
  await bed.until('test -s /var/lib/nixmaker/state/hooked');
  assert.equal(await bed.sh('cat /var/lib/nixmaker/state/hooked'), 'refused not-a-bundle nixmaker\n');
  await bed.until('journalctl --no-pager --unit nixmaker | grep hook-failed | grep -q 30-fails');
  const failed = await bed.sh('journalctl --no-pager --unit nixmaker | grep hook-failed');
  assert.match(failed, /20-foreign.*others may write it/);
  await bed.sh('test ! -e /var/lib/nixmaker/state/foreign; rm -r /etc/nixmaker/hooks.d');
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
    'handed-over',
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
    await bed.sh(
      'journalctl --no-pager --unit nixmaker --unit nixmaker-activate --priority err --output=cat',
    ),
    /"event":"rolled-back"/,
  );
});

for (const who of ['nixmaker', 'nixmaker-activate', 'nixmaker nixmaker-activate']) {
  test(`${who} killed in the middle of a switch: the switch goes on, and the run is finished`, async () => {
    sequence += 10;
    const name = `killed-${sequence}`;
    const prelude = `if [ "\${1:-}" = switch ]; then touch /run/switching; while [ ! -e /run/go ]; do sleep 0.05; done; touch /run/went-on; fi`;
    await bed.sh('rm -f /run/switching /run/go /run/went-on');
    await drop(await release(name, sequence, prelude), `${name}.tar`);
    await bed.until('test -e /run/switching');
    for (const unit of who.split(' ')) {
      const pid = (await bed.sh('systemctl show --property MainPID --value "$1.service"', unit)).trim();
      await bed.sh('systemctl kill --kill-whom=main --signal=KILL "$1.service"', unit);
      await bed.until('test ! -e /proc/$1', pid);
    }
    assert.equal((await bed.run(['test', '-e', '/run/went-on'])).code, 1);
    await bed.sh('touch /run/go');
    await bed.until('test -e /run/went-on');
    assert.match(await report('done', `${name}.tar`), /^DONE\n/);
    assert.match(await bed.sh('cat /run/current-system/etc/motd'), new RegExp(name));
  });
}

test('what an agent that was taken over could put among the requests is removed, and changes nothing', async () => {
  const before = await bed.sh('readlink /run/current-system; readlink /nix/var/nix/profiles/system');
  const bundle = await readFile(await release('forged', 500));
  const start = bundle.indexOf('{"schema"');
  const manifest = bundle.subarray(start, bundle.indexOf('\n', start) + 1);
  const request = (changes: Record<string, unknown>) =>
    JSON.stringify({
      schema: 1,
      transaction: 'aaaaaaaaaaaa',
      operation: 'switch',
      source: 'forged',
      manifest: manifest.toString('base64'),
      signatures: '',
      ...changes,
    });
  const wrongSignature = Buffer.from(`fleet-1:${Buffer.alloc(64, 1).toString('base64')}\n`).toString(
    'base64',
  );
  const files: Record<string, string> = {
    'unsigned.json': request({ transaction: 'aaaaaaaaaaa1' }),
    'forged.json': request({ transaction: 'aaaaaaaaaaa2', signatures: wrongSignature }),
    'path.json': request({ transaction: '../../../etc/x' }),
    'text.json': 'not JSON',
  };
  await bed.sh('systemctl stop nixmaker-activate.path');
  for (const [name, text] of Object.entries(files)) await bed.write(`/run/nixmaker/requests/${name}`, text);
  await bed.sh(
    'cd /run/nixmaker/requests; chown nixmaker: *.json; chmod 600 *.json; echo "{}" >foreign.json; ln -s /etc/shadow link.json; mkfifo fifo.json; mkdir folder.json; head -c 13000000 /dev/zero >large.json; chown nixmaker: large.json; ln unsigned.json hard.json',
  );
  await bed.sh('systemctl start nixmaker-activate.path');
  await bed.until('test -z "$(ls /run/nixmaker/requests)"');
  await bed.until('test "$(systemctl is-active nixmaker-activate.service)" = inactive');
  assert.equal(await bed.sh('readlink /run/current-system; readlink /nix/var/nix/profiles/system'), before);
  const log = await bed.sh('journalctl --no-pager --unit nixmaker-activate --output=cat');
  assert.match(log, /"name":"link\.json","detail":"ELOOP/);
  assert.match(log, /"name":"fifo\.json","detail":"it is not a regular file"/);
  assert.match(log, /"name":"foreign\.json","detail":"it is not the agent’s own"/);
  assert.match(log, /"name":"large\.json","detail":"it has 13000000 bytes/);
  assert.match(log, /"name":"path\.json","detail":"it is not a request"/);
  const receipt = JSON.parse(await bed.sh('cat /var/lib/nixmaker/activation/receipts/aaaaaaaaaaa2.json')) as {
    state: string;
    code: string;
  };
  assert.deepEqual([receipt.state, receipt.code], ['refused', 'signature-invalid']);
});

test('a genuine manifest whose system is not in the store is refused by the helper', async () => {
  const bundle = await readFile(await release('absent', 510));
  const member = (name: string) => {
    const at = bundle.indexOf(`${name}\0`);
    const size = Number.parseInt(bundle.toString('latin1', at + 124, at + 135), 8);
    return bundle.subarray(at + 512, at + 512 + size).toString('base64');
  };
  const request = {
    schema: 1,
    transaction: 'bbbbbbbbbbbb',
    operation: 'switch',
    source: 'absent',
    manifest: member('manifest.json'),
    signatures: member('manifest.sig'),
  };
  await bed.write('/run/nixmaker/requests/.new', JSON.stringify(request), '0600');
  await bed.sh('cd /run/nixmaker/requests; chown nixmaker: .new; mv .new bbbbbbbbbbbb.json');
  await bed.until('test -e /var/lib/nixmaker/activation/receipts/bbbbbbbbbbbb.json');
  const receipt = JSON.parse(await bed.sh('cat /var/lib/nixmaker/activation/receipts/bbbbbbbbbbbb.json')) as {
    state: string;
    code: string;
  };
  assert.deepEqual([receipt.state, receipt.code], ['refused', 'closure-incomplete']);
});

test('the units are quiet under systemd-analyze verify, and shut in: 1.5 at most for the agent, 2.0 for the helper', async () => {
  for (const unit of units) {
    const instance = unit.replace('@.', '@sdb1.');
    const ran = await bed.run(['systemd-analyze', 'verify', instance]);
    assert.deepEqual([ran.code, ran.stdout + ran.stderr], [0, ''], unit);
  }
  for (const [unit, most] of [
    ['nixmaker.service', 1.5],
    ['nixmaker-activate.service', 2],
    ['nixmaker-confirm.service', 2],
    ['nixmaker-reboot.service', 2],
    ['nixmaker-store-key.service', 2],
    // It mounts for the whole machine, so it can have no mount namespace, and none of what needs one.
    ['nixmaker-medium@sdb1.service', 4.5],
    // It mounts, and writes wherever a carrier’s folder is.
    ['nixmaker-receipts.service', 3.5],
  ] as const) {
    const text = await bed.sh('systemd-analyze security --no-pager "$1" || true', unit);
    const score = Number(/Overall exposure level for \S+: ([0-9.]+)/.exec(text)?.[1]);
    assert.ok(score <= most, `${unit}: ${score}`);
  }
});

test('the command line, as root, shares floor and history with the helper', async () => {
  const path = await release('by-hand', 600);
  await bed.write('/root/by-hand.tar', await readFile(path));
  assert.match(await bed.sh('nixmaker switch --tarball /root/by-hand.tar'), /^DONE\n/);
  const older = await bed.run(['nixmaker', 'switch', '--tarball', '/root/by-hand.tar']);
  assert.match(older.stdout, /taken before/);
  await drop(await release('late', 590), 'late.tar');
  assert.match(await report('refused', 'late.tar'), /sequence-older/);
  assert.match(await bed.sh('nixmaker history'), /601 +committed.*by-hand\.tar/);
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
  await drop(
    await release(
      'ill',
      700,
      'if [ "${1:-}" = switch ]; then systemctl start broken-after.service || true; fi',
    ),
    'ill.tar',
  );
  const ill = await report('refused', 'ill.tar');
  assert.match(ill, /Health: +ok +unit nix-daemon\.socket is active\n/);
  assert.match(ill, /Health: +ok +127\.0\.0\.1 port 7070 answers\n/);
  assert.match(ill, /Health: +ok +sh -c touch/);
  assert.match(ill, /Health: +BAD +no further unit has failed: broken-after\.service\n/);
  assert.equal(await bed.sh('readlink /run/current-system'), before);
  await bed.sh('systemctl reset-failed broken-after.service');
  await drop(await release('well', 710), 'well.tar');
  assert.match(await report('done', 'well.tar'), /Health: +ok +no further unit has failed\n/);
});

test('a switch that hangs is ended when its time is up, with all it has started, and rolled back', async () => {
  await bed.write('/etc/nixmaker/settings.json', JSON.stringify({ switchDeadline: 3 }));
  const before = await bed.sh('readlink /run/current-system');
  await drop(await release('hanging', 800, 'if [ "${1:-}" = switch ]; then sleep 7777; fi'), 'hanging.tar');
  assert.match(
    await report('refused', 'hanging.tar'),
    /^FAILED, the previous system was put back\n.*switch-to-configuration: hung/s,
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

test('the agent is nobody special to the Nix daemon', async () => {
  const asAgent = [
    'setpriv',
    '--reuid',
    'nixmaker',
    '--regid',
    'nixmaker',
    '--clear-groups',
    'env',
    'HOME=/tmp',
  ];
  const ran = await bed.run([...asAgent, 'sh', '-c', 'nix store info --store daemon 2>&1']);
  assert.match(ran.stdout, /Trusted: 0/);
  const owner = await bed.sh(
    'ps -o user= -p "$(systemctl show --property MainPID --value nixmaker.service)"',
  );
  assert.equal(owner.trim(), 'nixmaker');
});

test('a local word is asked for by root, where it can see the machine, and until it comes nothing is changed', async () => {
  const policy = await bed.sh('cat /etc/nixmaker/policy.json');
  const approval = { command: ['sh', '-c', 'echo "$NIXMAKER_SEQUENCE" >>/root/asked; test -e /root/yes'] };
  await bed.write('/etc/nixmaker/policy.json', JSON.stringify({ ...JSON.parse(policy), approval }));
  await bed.sh('systemctl restart nixmaker.service');
  const before = await bed.sh('readlink /nix/var/nix/profiles/system');
  await drop(await release('approved', 900), 'approved.tar');
  await bed.until(
    'journalctl --no-pager --unit nixmaker --output=cat | grep \'"event":"deferred"\' | grep -q not-approved',
  );
  assert.equal(await bed.sh('readlink /nix/var/nix/profiles/system'), before);
  await bed.sh('touch /root/yes');
  assert.match(await report('done', 'approved.tar'), /^DONE\n/);
  assert.match(await bed.sh('cat /root/asked'), /^901\n901\n/);
  await bed.write('/etc/nixmaker/policy.json', policy);
  await bed.sh('systemctl restart nixmaker.service');
});

test('root’s floor, once lost, stops everything until root has adopted one', async () => {
  await bed.sh('rm /var/lib/nixmaker/activation/floor.a /var/lib/nixmaker/activation/floor.b');
  await drop(await release('after-loss', 920), 'after-loss.tar');
  await bed.until(
    'journalctl --no-pager --unit nixmaker --output=cat | grep \'"event":"deferred"\' | grep -q floor-lost',
  );
  assert.match(await bed.sh('nixmaker floor 2>&1 || true'), /^lost: the floor is gone.*sequence 901/);
  const refused = await bed.run([
    'setpriv',
    '--reuid',
    'nixmaker',
    '--clear-groups',
    'nixmaker',
    'floor',
    'adopt',
  ]);
  assert.notEqual(refused.code, 0);
  assert.match(await bed.sh('nixmaker floor adopt'), /The floor is 901 again/);
  assert.match(await report('done', 'after-loss.tar'), /^DONE\n/);
});

test('with a policy that can’t be used the agent says so once, stays down, and comes back when it is mended', async () => {
  const policy = await bed.sh('cat /etc/nixmaker/policy.json');
  await bed.write('/etc/nixmaker/policy.json', policy.replace('trustedKeys', 'trustedKey'));
  await bed.run(['systemctl', 'restart', 'nixmaker.service']);
  await bed.until('systemctl is-failed nixmaker.service');
  assert.equal(await bed.sh('systemctl show --property ExecMainStatus --value nixmaker.service'), '78\n');
  assert.match(
    await bed.sh('journalctl --no-pager --unit nixmaker --lines 12 --output=cat'),
    /did you mean “trustedKeys”/,
  );
  await bed.write('/etc/nixmaker/policy.json', policy);
  await bed.sh('systemctl restart nixmaker.service; systemctl is-active nixmaker.service');
});

test('a keyring that comes along is kept by root, on the word of the keys before it and not of the agent', async () => {
  const second = await makeKeys(shop.folder, 'second-1');
  const must = async (...args: string[]) => {
    const ran = await shop.builder.nixmaker(args);
    assert.equal(ran.code, 0, ran.stderr);
  };
  const json = join(shop.folder, 'keyring.json');
  const file = join(shop.folder, '1.keyring');
  const trustedKeys = [second.publicKey];
  await writeFile(
    json,
    JSON.stringify({ schema: 1, version: 1, hosts: ['web'], trustedKeys, threshold: 1, roles: {} }),
  );
  await must('keyring', 'make', json, file);
  await must('keyring', 'sign', '--key', second.secretFile, file);
  // What an agent that was taken over would ask for: a keyring that its own key has signed.
  const request = { schema: 1, transaction: 'a'.repeat(12), envelope: await readFile(file, 'utf8') };
  await bed.write('/tmp/request', JSON.stringify(request), '0644');
  await bed.sh(
    'setpriv --reuid nixmaker --regid nixmaker --clear-groups sh -c "umask 077; mkdir -p /run/nixmaker/keyrings; cp /tmp/request /run/nixmaker/keyrings/.x; mv /run/nixmaker/keyrings/.x /run/nixmaker/keyrings/x.json"',
  );
  await bed.until('test ! -e /run/nixmaker/keyrings/x.json');
  await bed.until(
    'journalctl --no-pager --unit nixmaker-activate --output=cat | grep request-rejected | grep -q keyring-untrusted',
  );
  assert.doesNotMatch(await bed.sh('nixmaker status'), /Keyring/);

  await must('keyring', 'sign', '--key', shop.keys.secretFile, file);
  await drop(file, 'fleet.keyring');
  await bed.until('nixmaker status | grep -q "Keyring: *version 1"');
  await bed.until('journalctl --no-pager --unit nixmaker --output=cat | grep -q keyring-accepted');
  const bundle = await release('by-second', 960);
  await drop(bundle, 'by-first.tar');
  assert.match(await report('refused', 'by-first.tar'), /signature-unknown-key/);
  // Nix itself still trusts the old key only, which has signed the paths; the new one counts.
  await must('sign', '--key', second.secretFile, bundle);
  await drop(bundle, 'by-second.tar');
  assert.match(await report('done', 'by-second.tar'), /^DONE\n/);
  assert.equal(await bed.sh('stat --format=%U /var/lib/nixmaker/activation/keyring.a'), 'root\n');
});

test('where Nix trusts none of the keys, root vouches for what the manifest pins, and for nothing else', async () => {
  const third = await makeKeys(shop.folder, 'third-1');
  const policy = { schema: 1, host: 'web', operation: 'switch', keyringVersion: 1 };
  await bed.write('/etc/nixmaker/policy.json', JSON.stringify({ ...policy, trustedKeys: [third.publicKey] }));
  await bed.sh('systemctl stop nixmaker.service; systemctl enable nixmaker-store-key.service');
  await bed.sh('systemctl daemon-reload; systemctl restart nix-daemon.service nixmaker.service');
  await bed.until(
    'grep -q "^extra-trusted-public-keys = nixmaker-store-web-" /var/lib/nixmaker/activation/store-key.conf',
  );
  assert.equal(await bed.sh('stat --format="%U %a" /var/lib/nixmaker/activation/store.secret'), 'root 600\n');
  const unsigned = (name: string, number: number) =>
    shop.bundle(name, {
      hosts: { web: plainHost('web', name) },
      args: ['--unsigned', '--sequence', String(number)],
    });
  // What an agent that was taken over would ask for: a word for a manifest of its own key’s.
  const forged = await unsigned('by-thief', 970);
  const thief = await makeKeys(shop.folder, 'thief-1');
  assert.equal((await shop.builder.nixmaker(['sign', '--key', thief.secretFile, forged])).code, 0);
  const { manifestBytes, signatureBytes } = await takeApart(forged);
  const asked = {
    schema: 1,
    transaction: 'b'.repeat(12),
    manifest: manifestBytes.toString('base64'),
    signatures: signatureBytes.toString('base64'),
  };
  await bed.write('/tmp/request', JSON.stringify(asked), '0644');
  await bed.sh(
    'setpriv --reuid nixmaker --regid nixmaker --clear-groups sh -c "umask 077; mkdir -p /run/nixmaker/vouchers; cp /tmp/request /run/nixmaker/vouchers/.x; mv /run/nixmaker/vouchers/.x /run/nixmaker/vouchers/x.json"',
  );
  const answer = `/var/lib/nixmaker/activation/vouchers/${asked.transaction}.json`;
  await bed.until('test -e "$1"', answer);
  assert.match(await bed.sh('cat "$1"', answer), /"signatures":\{\},"refusal":"[^"]*signature-unknown-key/);

  const good = await unsigned('by-third', 980);
  assert.equal((await shop.builder.nixmaker(['sign', '--key', third.secretFile, good])).code, 0);
  await drop(good, 'by-third.tar');
  assert.match(await report('done', 'by-third.tar'), /^DONE\n/);
  assert.match(await bed.sh('nix path-info --json --sigs /run/current-system'), /nixmaker-store-web-/);
});

test('a bundle encrypted to the machine’s key, made by root, is read by the agent', async () => {
  const third = join(shop.folder, 'third-1.secret');
  const recipient = (await bed.sh('nixmaker age-key')).trim();
  assert.equal(await bed.sh('stat --format="%U %a" /var/lib/nixmaker/state/age.identity'), 'nixmaker 600\n');
  const path = await shop.bundle('sealed', {
    hosts: { web: plainHost('web', 'sealed') },
    args: ['--unsigned', '--sequence', '990'],
  });
  for (const args of [
    ['sign', '--key', third, path],
    ['encrypt', '--to', recipient, path],
  ])
    assert.equal((await shop.builder.nixmaker(args)).code, 0);
  await drop(`${path}.age`, 'parcel.tar.age');
  assert.match(await report('done', 'parcel.tar.age'), /^DONE\n/);
});
