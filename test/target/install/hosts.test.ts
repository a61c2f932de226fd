/** Which host a machine is to be, by the signed table on the medium. */
import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bootLive } from '../../machines/live-system.ts';
import { makeKeys, makeWorkshop } from '../../support/fleet.ts';
import { installableHost, stickWith } from '../../support/installable.ts';

const shop = await makeWorkshop();
const one = await shop.bundle('one', { hosts: { web: installableHost(shop, 'one') } });
const plain = await stickWith(shop, 'plain', [one]);
const live = await bootLive(join(shop.folder, 'live'));
after(() => live.close());
const key = ['--key', shop.keys.publicKey];
// Another machine, for this live system.
const mac = '52:54:00:12:34:56';
await live.sh(`
mkdir -p ${live.folder}/net/eth0 ${live.folder}/device
echo ${mac} >${live.folder}/net/eth0/address
ln -s ../../device ${live.folder}/net/eth0/device
mount --bind ${live.folder}/net /sys/class/net`);

async function desk(...args: string[]): Promise<string> {
  const ran = await shop.builder.nixmaker(args);
  assert.equal(ran.code, 0, ran.stderr);
  return ran.stdout;
}

/** The stick, with a table on it. */
async function stick(name: string, table: object, secretFile = shop.keys.secretFile): Promise<string> {
  const medium = join(shop.folder, 'sticks', name);
  await cp(plain, medium, { recursive: true });
  const [json, file] = [`${medium}.json`, `${medium}.hosts`];
  const whole = { schema: 1, createdAt: '2026-11-01T00:00:00Z', unattended: false, ...table };
  await writeFile(json, JSON.stringify(whole));
  await desk('hosts', 'make', json, file);
  await desk('hosts', 'sign', '--key', secretFile, file);
  await desk('put', '--plain-folder', medium, file);
  return medium;
}

async function refused(args: readonly string[], code: string, detail: RegExp): Promise<void> {
  const ran = await live.install([...args, '--dry-run', '--json']);
  const said = JSON.parse(ran.stdout);
  assert.equal(said.code, code, ran.stdout);
  assert.match(said.detail, detail);
}

test('a machine that the table has becomes the host that the table says', async () => {
  const medium = await stick('known', {
    hosts: [
      { host: 'lab', serial: 'PF-4711' },
      { host: 'web', mac },
    ],
  });
  const ran = await live.install([medium, ...key, '--dry-run', '--json']);
  assert.equal(JSON.parse(ran.stdout).host, 'web', ran.stderr);
  await refused([medium, ...key, '--host', 'lab'], 'wrong-host', /has this machine as web, not as lab/);
  const shown = await desk('hosts', 'show', `${medium}.hosts`);
  assert.match(shown, /web +52:54:00:12:34:56/);
  assert.match(shown, /Signed by fleet-1; not verified/);
});

test('one that it does not have needs a person’s word', async () => {
  const medium = await stick('others', { hosts: [{ host: 'lab', serial: 'PF-4711' }] });
  await refused([medium, ...key], 'host-unknown', /does not have this machine .*52:54:00:12:34:56/);
  const ran = await live.install([medium, ...key, '--host', 'web', '--dry-run']);
  assert.equal(ran.code, 0, ran.stderr);
});

test('a table counts only if the given keys have signed it, as it is, and while it is valid', async () => {
  const { secretFile } = await makeKeys(join(shop.folder, 'keys'), 'stranger');
  const strange = await stick('strange', { hosts: [{ host: 'web', mac }] }, secretFile);
  await refused([strange, ...key], 'hosts-untrusted', /0 of 1 required keys/);
  const byHand = await live.install([strange, ...key, '--host', 'web', '--dry-run']);
  assert.match(byHand.stderr, /note: The medium’s table of hosts does not count \(hosts-untrusted/);
  const old = await stick('old', { hosts: [{ host: 'web', mac }], expiresAt: '2026-11-02T00:00:00Z' });
  await refused([old, ...key], 'expired', /the table of hosts expired at 2026-11-02/);
  const file = join(old, 'nixmaker/hosts.json');
  await writeFile(file, (await readFile(file, 'utf8')).slice(0, -20));
  await refused([old, ...key], 'hosts-malformed', /not an envelope/);
  await writeFile(`${old}.json`, '{}');
  const made = await shop.builder.nixmaker(['hosts', 'make', `${old}.json`, `${old}.hosts`]);
  assert.match(made.stderr, /\(hosts-malformed\)/);
});
