/** A first install: a new disk, a signed release, and a machine that its desk knows before its first start. */
import assert from 'node:assert/strict';
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { generateIdentity, recipientOf } from '../../../src/bundle/encrypted.ts';
import { bootLive, type LiveSystem } from '../../machines/live-system.ts';
import { makeWorkshop } from '../../support/fleet.ts';
import { installableHost, stickWith } from '../../support/installable.ts';
import { released } from '../../support/released.ts';

const shop = await makeWorkshop();
const sshd = { 'ssh/sshd_config': 'HostKey /etc/ssh/ssh_host_ed25519_key\n' };
const one = await shop.bundle('one', { hosts: { web: installableHost(shop, 'one', { files: sshd }) } });
const stick = await stickWith(shop, 'one', [one]);
const { toplevel } = await released(one);
const key = ['--key', shop.keys.publicKey];
const lives: LiveSystem[] = [];
after(() => {
  for (const each of lives) each.close();
});

async function live(megabytes?: number): Promise<LiveSystem> {
  const made = await bootLive(
    join(shop.folder, `live-${lives.length}`),
    megabytes === undefined ? {} : { megabytes },
  );
  lives.push(made);
  return made;
}

test('a medium becomes an installed machine, which the desk enrols from the stick', async () => {
  const machine = await live();
  const ran = await machine.install([stick, '--host', 'web', ...key, '--json']);
  assert.equal(ran.code, 0, ran.stderr);
  const told = JSON.parse(ran.stdout);
  assert.deepEqual(
    [told.host, told.sequence, told.toplevel, told.installed, told.receiptOn, told.notices],
    ['web', 1, toplevel, true, stick, []],
  );
  assert.match(told.sshHostKeys[0], /^ssh-ed25519 /);
  assert.match(told.recipients[0], /^age1/);
  assert.equal((await machine.sh('readlink /mnt/nix/var/nix/profiles/system-1-link')).trim(), toplevel);
  assert.match(await machine.sh('cat /mnt/boot/loader/loader.conf'), /^default nixos-/);
  assert.match(await machine.sh('cat /mnt/boot/loader/entries/*.conf'), new RegExp(`init=${toplevel}/init`));
  await machine.sh('test -f /mnt/etc/NIXOS && test ! -e /mnt/mnt && test -d /mnt/dev');
  assert.equal((await machine.sh('stat -c %a /mnt/var/lib/nixmaker/activation/host.secret')).trim(), '600');
  const valid = await machine.run(['nix', 'store', 'verify', '--store', '/mnt', '--all', '--no-trust']);
  assert.equal(valid.code, 0, valid.stderr);

  const desk = join(shop.folder, 'desk');
  const collected = await shop.builder.nixmaker(['collect', stick, '--enrol', '-d', desk]);
  assert.equal(collected.code, 0, collected.stderr);
  assert.equal(
    (await readFile(join(desk, 'web', 'host.public'), 'utf8').catch(() => told.hostKey)).trim(),
    told.hostKey,
  );
  const fleet = await shop.builder.nixmaker(['fleet', '-d', desk, '--json']);
  const [web] = JSON.parse(fleet.stdout).hosts;
  assert.equal(web.host, 'web');
  assert.match(JSON.stringify(web), /"pending"/);
  assert.deepEqual(await readdir(join(stick, 'nixmaker/receipts/web')), ['1.json', '1.txt']);
});

/** What it was installed from, for `put --self`, in a folder named by the digest of the manifest. */
async function kept(machine: LiveSystem): Promise<string[]> {
  const folder = '/mnt/var/lib/nixmaker/activation/releases';
  const digest = (await machine.sh(`sha256sum ${folder}/*/manifest.json`)).slice(0, 64);
  return (await machine.sh(`cd ${folder}/${digest} && ls`)).trim().split('\n');
}

const signed = ['index', 'manifest.json', 'manifest.sig'];

test('the new machine keeps what it can pass on to others, and that it came encrypted', async () => {
  const plain = await live();
  assert.equal((await plain.install([one, '--host', 'web', ...key])).code, 0);
  assert.deepEqual(await kept(plain), signed);

  const [bundle, identity] = [join(shop.folder, 'secret.tar'), join(shop.folder, 'identity')];
  const secret = await generateIdentity();
  await writeFile(identity, secret);
  await copyFile(one, bundle);
  const done = await shop.builder.nixmaker(['encrypt', '--to', await recipientOf(secret), bundle]);
  assert.equal(done.code, 0, done.stderr);
  const encrypted = await live();
  const ran = await encrypted.install([`${bundle}.age`, '--host', 'web', '--identity', identity, ...key]);
  assert.equal(ran.code, 0, ran.stderr);
  assert.deepEqual(await kept(encrypted), ['encrypted', ...signed]);
});
