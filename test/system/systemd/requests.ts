/** What an agent that was taken over can ask the helper for, and how both are shut in. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { putRequest, receiptOf, type Signed, signedParts } from './ask-root.ts';
import { bed, drop, release, report, units } from './scene.ts';

const putAsked = (n: string, files: Partial<Signed>) =>
  putRequest(
    'requests',
    { schema: 2, transaction: `aaaaaaaaaaa${n}`, operation: 'switch', source: 'forged' },
    files,
  );

test('what an agent that was taken over could put among the requests is removed, and changes nothing', async () => {
  const before = await bed.sh('readlink /run/current-system; readlink /nix/var/nix/profiles/system');
  const signed = await signedParts(await release('forged', 500));
  const request = (changes: Record<string, unknown>) =>
    JSON.stringify({
      schema: 2,
      transaction: 'aaaaaaaaaaaa',
      operation: 'switch',
      source: 'forged',
      ...changes,
    });
  const files: Record<string, string> = {
    'unsigned.json': request({ transaction: 'aaaaaaaaaaa1' }),
    'path.json': request({ transaction: '../../../etc/x' }),
    'text.json': 'not JSON',
  };
  await bed.sh('systemctl stop nixmaker-activate.path');
  for (const [name, text] of Object.entries(files)) await bed.write(`/run/nixmaker/requests/${name}`, text);
  await bed.sh(
    'cd /run/nixmaker/requests; chown nixmaker: *.json; chmod 600 *.json; echo "{}" >foreign.json; ln -s /etc/shadow link.json; mkfifo fifo.json; mkdir folder.json; head -c 13000000 /dev/zero >large.json; chown nixmaker: large.json; ln unsigned.json hard.json',
  );
  const wrong = Buffer.from(`fleet-1:${Buffer.alloc(64, 1).toString('base64')}\n`);
  await putAsked('2', { ...signed, signatures: wrong });
  await putAsked('3', { ...signed, index: (await signedParts(await release('sister', 490))).index });
  await putAsked('4', { manifest: signed.manifest, signatures: signed.signatures });
  await putAsked('5', signed);
  await bed.sh('cd /run/nixmaker/requests; rm aaaaaaaaaaa5.index; ln -s /etc/shadow aaaaaaaaaaa5.index');
  await bed.sh('systemctl start nixmaker-activate.path');
  // Files of a request whose server was killed lie there until the agent asks again.
  await bed.until(
    'cd /run/nixmaker/requests; test -z "$(find . -mindepth 1 ! -name "*.manifest" ! -name "*.signatures" ! -name "*.index")"; ! ls | grep -q aaaaaaaaaaa',
  );
  await bed.until('test "$(systemctl is-active nixmaker-activate.service)" = inactive');
  assert.equal(await bed.sh('readlink /run/current-system; readlink /nix/var/nix/profiles/system'), before);
  const log = await bed.sh('journalctl --no-pager --unit nixmaker-activate --output=cat');
  assert.match(log, /"name":"link\.json","detail":"it is a symbolic link"/);
  assert.match(log, /"name":"fifo\.json","detail":"it is not a regular file"/);
  assert.match(log, /"name":"foreign\.json","detail":"it does not belong to the agent"/);
  assert.match(log, /"name":"large\.json","detail":"it has 13000000 bytes/);
  assert.match(log, /"name":"path\.json","detail":"it is not a request"/);
  const outcomes = [];
  for (const n of ['1', '2', '3', '4', '5']) outcomes.push((await receiptOf(`aaaaaaaaaaa${n}`)).code);
  const [noFiles, wrongSignature, otherIndex, noIndex, linkedIndex] = outcomes;
  assert.equal(noFiles, 'bundle-malformed');
  assert.equal(wrongSignature, 'signature-invalid');
  assert.equal(otherIndex, 'bundle-altered');
  assert.equal(noIndex, 'bundle-malformed');
  assert.equal(linkedIndex, 'bundle-malformed');
  // What could not be verified is a count, and no line of root’s journal.
  const folder = '/var/lib/nixmaker/activation';
  const runs = await bed.sh('grep -o aaaaaaaaaaa. "$1/journal" | sort -u | tr "\\n" " "', folder);
  assert.equal(runs, 'aaaaaaaaaaa3 aaaaaaaaaaa4 aaaaaaaaaaa5 ');
  assert.match(await bed.sh('cat "$1/requests-unverified"', folder), /"count":2,/);
});

test('the same genuine, older manifest again and again is one run of root’s journal, and each is answered', async () => {
  const signed = await signedParts(await release('ancient', 1));
  for (const n of ['1', '2', '3']) {
    const request = { schema: 2, transaction: `ccccccccccc${n}`, operation: 'switch', source: 'ancient' };
    await putRequest('requests', request, signed);
    const { state, code } = await receiptOf(request.transaction);
    assert.deepEqual([state, code], ['refused', 'sequence-older']);
  }
  const runs = await bed.sh('grep -o ccccccccccc. /var/lib/nixmaker/activation/journal | sort -u');
  assert.equal(runs.trim(), 'ccccccccccc1');
});

test('a genuine manifest whose system is not in the store is refused by the helper', async () => {
  const request = { schema: 2, transaction: 'bbbbbbbbbbbb', operation: 'switch', source: 'absent' };
  await putRequest('requests', request, await signedParts(await release('absent', 510)));
  const receipt = await receiptOf(request.transaction);
  assert.deepEqual([receipt.state, receipt.code], ['refused', 'closure-incomplete']);
});

test('what is asked for directly is decided by root’s floor and root’s policy, and by nothing in the request', async () => {
  const systems = () => bed.sh('readlink /run/current-system; readlink /nix/var/nix/profiles/system');
  const [older, newer] = [await release('asked-older', 515), await release('asked-newer', 530)];
  await drop(await release('asked', 520), 'asked.tar');
  assert.match(await report('done', 'asked.tar'), /^DONE\n/);
  const before = await systems();
  // All that they name lies in the store: nothing but root’s decision stops them.
  for (const path of [older, newer]) {
    await bed.write('/tmp/asked.tar', await readFile(path));
    await bed.sh(
      'rm -rf /tmp/asked; mkdir /tmp/asked; tar -xf /tmp/asked.tar -C /tmp/asked; nix copy --from file:///tmp/asked --to daemon "$(tail -n1 /tmp/asked/meta)"',
    );
  }
  const ask = async (transaction: string, operation: string, path: string) => {
    await putRequest(
      'requests',
      { schema: 2, transaction, operation, source: 'asked' },
      await signedParts(path),
    );
    const { state, code } = await receiptOf(transaction);
    return [state, code];
  };
  assert.deepEqual(await ask('dddddddddd01', 'switch', older), ['refused', 'sequence-older']);
  const policy = await bed.sh('cat /etc/nixmaker/policy.json');
  const approval = { command: ['/bin/false'] };
  await bed.write(
    '/etc/nixmaker/policy.json',
    JSON.stringify({ ...JSON.parse(policy), approval, stage: { allow: false } }),
  );
  assert.deepEqual(await ask('dddddddddd02', 'test', newer), ['deferred', 'not-approved']);
  await bed.write('/etc/nixmaker/policy.json', policy);
  assert.equal(await systems(), before);
});

test('the units are quiet under systemd-analyze verify, and shut in: 1.5 at most for the agent, 2.0 for the helper', async () => {
  for (const unit of units) {
    const instance = unit.replace('@.', '@sdb1.');
    const ran = await bed.run(['systemd-analyze', 'verify', instance]);
    assert.deepEqual([ran.code, ran.stdout + ran.stderr], [0, ''], unit);
  }
  const services = units.filter((u) => u.endsWith('.service')).map((u) => u.replace('@.', '@sdb1.'));
  for (const unit of services)
    assert.match(await bed.sh('systemctl show --property MemoryMax "$1"', unit), /^MemoryMax=\d+$/m, unit);
  for (const [unit, most] of [
    ['nixmaker.service', 1.5],
    ['nixmaker-activate.service', 2],
    ['nixmaker-confirm.service', 2],
    ['nixmaker-deadline.service', 2],
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
