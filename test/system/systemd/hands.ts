/** What people do to a machine from a root shell, without meaning any harm. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { bed, drop, release, report } from './scene.ts';

const root = '/var/lib/nixmaker/activation';
const doctor = async () => (await bed.run(['nixmaker', 'doctor'])).stdout;

test('whatever root runs under a strict umask, the agent can read what it has to', async () => {
  await bed.write('/home/one.tar', await readFile(await release('umask-one', 1000)));
  // As large as a journal may be: the next command writes it anew.
  await bed.sh(`mkdir -p ${root}; yes 'no line of ours' | head -c 1200000 >>${root}/journal`);
  const commands = [
    'switch --tarball /home/one.tar',
    ...[
      'hold 2000',
      'release 2000',
      'rollback --to 1',
      'confirm',
      'floor',
      'age-key',
      'host-key',
      'store-key',
    ],
    ...['status', 'doctor', 'history', 'metrics', 'activate', 'write-receipts', 'reboot'],
  ];
  for (const command of commands) {
    await bed.run(['sh', '-c', `umask 077; exec nixmaker ${command}`]);
    const closed = await bed.sh(
      `setpriv --reuid nixmaker --regid nixmaker --clear-groups find ${root} ! -name '*.secret' ! -readable`,
    );
    assert.equal(closed, '', command);
  }
  await drop(await release('umask-two', 1010), 'umask-two.tar');
  assert.match(await report('done', 'umask-two.tar'), /^DONE\n/);
  assert.match(await doctor(), /^ok +agent +the agent can read root’s state/m);
});

test('a state that the agent cannot read is no fault of a bundle’s: it waits, doctor says why, and it is taken when that is mended', async () => {
  await bed.sh(`chmod 0700 ${root}`);
  await drop(await release('closed', 1020), 'closed.tar');
  await bed.until(
    'journalctl --no-pager --unit nixmaker --output=cat | grep \'"event":"deferred"\' | grep -q state-unreadable',
  );
  assert.match(await doctor(), /^BAD +agent +the agent cannot read \/var\/lib\/nixmaker\/activation/m);
  await bed.sh(`chmod 0755 ${root}`);
  assert.match(await report('done', 'closed.tar'), /^DONE\n/);
});

test('a Nix that answers root and not the agent is told by doctor, with whom to allow', async () => {
  const conf = await bed.sh('cat /etc/nix/nix.conf');
  await bed.write('/etc/nix/nix.conf', `${conf}allowed-users = root\n`);
  await bed.sh('systemctl restart nix-daemon.service');
  const said = await doctor();
  assert.match(said, /^ok +nix /m, 'root is answered');
  assert.match(said, /^BAD +agent +Nix responds to root but not to the agent \(nixmaker\)/m);
  assert.match(said, /Add nixmaker to `nix\.settings\.allowed-users`/);
  await drop(await release('not-allowed', 1030), 'not-allowed.tar');
  await bed.until(
    'journalctl --no-pager --unit nixmaker --output=cat | grep \'"event":"deferred"\' | grep -q nix-unavailable',
  );
  await bed.write('/etc/nix/nix.conf', conf);
  await bed.sh('systemctl restart nix-daemon.service');
  assert.match(await report('done', 'not-allowed.tar'), /^DONE\n/);
});
