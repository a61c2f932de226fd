/** What root alone decides: its word, its floor, its policy. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bed, drop, release, report } from './scene.ts';

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

test('a local word is asked for by root, where it can see the machine; until it comes the release is staged, by root', async () => {
  const policy = await bed.sh('cat /etc/nixmaker/policy.json');
  const approval = { command: ['sh', '-c', 'echo "$NIXMAKER_SEQUENCE" >>/root/asked; test -e /root/yes'] };
  await bed.write('/etc/nixmaker/policy.json', JSON.stringify({ ...JSON.parse(policy), approval }));
  await bed.sh('systemctl restart nixmaker.service');
  const before = await bed.sh('readlink /nix/var/nix/profiles/system');
  await drop(await release('approved', 900), 'approved.tar');
  assert.match(await report('done', 'approved.tar'), /^STAGED.*^Code: +not-approved$/ms);
  assert.equal(await bed.sh('readlink /nix/var/nix/profiles/system'), before);
  await bed.sh('rm /var/lib/nixmaker/inbox/done/*; nix-collect-garbage 2>&1');
  assert.match(
    await bed.sh('nixmaker status'),
    /^Staged: +release 901, since [^:]+:\d\d UTC:\s+not-approved/m,
  );
  const asAgent = 'setpriv --reuid nixmaker --regid nixmaker --clear-groups';
  const spoiled = await bed.run([
    'sh',
    '-c',
    `${asAgent} rm -rf /var/lib/nixmaker/activation/staged/* /var/lib/nixmaker/activation/roots/*`,
  ]);
  assert.notEqual(spoiled.code, 0, 'the agent has no part in it');
  await bed.sh('systemctl restart nixmaker.service');
  // Asked about by the agent, through the path unit.
  await bed.until('test "$(wc -l </root/asked)" -ge 2');
  await bed.sh('touch /root/yes');
  await bed.until('grep -q ^approved /run/current-system/etc/motd');
  await bed.until('! ls /var/lib/nixmaker/activation/staged/* 2>/dev/null');
  await bed.until('journalctl --no-pager --unit nixmaker --output=cat | grep -q staged-done');
  const { runs } = JSON.parse(await bed.sh('nixmaker history --json')) as {
    runs: { sequence?: number; state: string }[];
  };
  assert.deepEqual(
    runs.filter(({ sequence }) => sequence === 901).map(({ state }) => state),
    ['committed'],
  );
  await bed.write('/etc/nixmaker/policy.json', policy);
  await bed.sh('systemctl restart nixmaker.service');
});

test('root’s floor, once lost, stops everything until root has adopted one', async () => {
  await bed.sh('rm /var/lib/nixmaker/activation/floor.a /var/lib/nixmaker/activation/floor.b');
  await drop(await release('after-loss', 920), 'after-loss.tar');
  await bed.until(
    'journalctl --no-pager --unit nixmaker --output=cat | grep \'"event":"deferred"\' | grep -q floor-lost',
  );
  assert.match(await bed.sh('nixmaker floor 2>&1 || true'), /^lost: the floor is missing.*sequence 901/);
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
