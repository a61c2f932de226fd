/** What the service is to systemd: its state, its journal, its hooks, its confinement. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { messageIdOf } from '../../../src/report/message-id.ts';
import { bedNode } from '../../machines/bed.ts';
import { checkout } from '../../machines/program.ts';
import { bed, drop, release, report } from './scene.ts';

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
  assert.match(units, /nixmaker-switch-[0-9a-f]{12}-boot-\d+-\d+\.service/);
  assert.match(units, /nixmaker-switch-[0-9a-f]{12}-switch-\d+-\d+\.service/);
});

test('systemd is told what the agent is about, and that it lives', async () => {
  const shown = await bed.sh(
    'systemctl show nixmaker --property=Type,StatusText,WatchdogUSec,NotifyAccess,WatchdogTimestamp',
  );
  assert.match(shown, /^Type=notify$/m);
  assert.match(shown, /^WatchdogUSec=3min$/m);
  await bed.until('systemctl show nixmaker --property=StatusText | grep -q "sequence .*: done"');
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
  assert.match(explained, /Subject: nixmaker: This file is not a nixmaker bundle/);
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
  assert.match(failed, /20-foreign.*others can write to it/);
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
