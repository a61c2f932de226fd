/** Keys that root keeps: keyrings, vouchers, the machine’s own. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeKeys, plainHost } from '../../support/fleet.ts';
import { putRequest, signedParts } from './ask-root.ts';
import { bed, drop, release, report, shop } from './scene.ts';

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
  const asked = { schema: 2, transaction: 'b'.repeat(12) };
  await putRequest('vouchers', asked, await signedParts(forged));
  const answer = `/var/lib/nixmaker/activation/vouchers/${asked.transaction}.json`;
  await bed.until('test -e "$1"', answer);
  assert.match(await bed.sh('cat "$1"', answer), /"refusal":\{"code":"signature-unknown-key"/);

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
