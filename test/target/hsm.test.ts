/** The key that signs releases in an HSM: SoftHSM, through PKCS #11, as docs/how-to.md has it. */
import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { run } from '../machines/program.ts';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost, writeFlake } from '../support/fleet.ts';

const hsm = process.env.NIXMAKER_HSM;
if (hsm === undefined) throw new Error('NIXMAKER_HSM is not set: run this test with scripts/test, on Debian');
const [tool, module] = [join(hsm, 'pkcs11-tool'), join(hsm, 'libsofthsm2.so')];

const shop = await makeWorkshop();
const { folder } = shop;
// The commands that nixmaker starts have them from its environment, as an operator’s do.
process.env.SOFTHSM2_CONF = join(folder, 'softhsm2.conf');
process.env.NIXMAKER_TEST_PIN = '1234';

async function must(program: string, args: readonly string[]) {
  const ran = await run(program, args);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
}

async function nixmaker(...args: string[]): Promise<string> {
  const ran = await shop.builder.nixmaker(args);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  return ran.stdout;
}

/** A token with one key, and its public half in Nix’s form. */
async function makeToken(): Promise<string> {
  await mkdir(join(folder, 'tokens'));
  await writeFile(process.env.SOFTHSM2_CONF as string, `directories.tokendir = ${join(folder, 'tokens')}\n`);
  const token = ['--label', 'nixmaker', '--pin', '1234', '--so-pin', '5678'];
  await must(join(hsm as string, 'softhsm2-util'), ['--module', module, '--init-token', '--free', ...token]);
  const login = ['--module', module, '--token-label', 'nixmaker', '--login', '--pin', '1234'];
  const curve = ['--key-type', 'EC:edwards25519'];
  await must(tool, [...login, '--keypairgen', ...curve, '--label', 'fleet', '--id', '01']);
  const pem = join(folder, 'fleet.pem');
  const object = ['--read-object', '--type', 'pubkey', '--label', 'fleet', '--output-file', pem];
  await must(tool, ['--module', module, '--token-label', 'nixmaker', ...object]);
  return (await nixmaker('keygen', 'fleet-hsm', '--from', pem, '--out', folder)).trim();
}

const publicKey = await makeToken();
const command = (pin: string) =>
  `'${tool}' --module '${module}' --token-label nixmaker --pin ${pin} --sign --mechanism EDDSA --label fleet`;
const byHsm = [
  '--sign-with',
  command('env:NIXMAKER_TEST_PIN'),
  '--public-key',
  join(folder, 'fleet-hsm.public'),
];

test('an HSM signs what build, put, sign and keyring make, and a machine takes it', async () => {
  const flake = `path:${await writeFlake(join(folder, 'flake'), { hosts: { web: plainHost('web', 'hsm') } })}`;
  const out = join(folder, 'out');
  await nixmaker('build', '-f', flake, '-d', out, ...byHsm);
  const bundle = join(out, 'web/web.tar');
  assert.match(await nixmaker('verify', '--key', publicKey, bundle), /^ok: web 1, signed by fleet-hsm/);

  const unsigned = ['one', 'two'].map((name) => join(folder, `${name}/web/web.tar`));
  for (const name of ['one', 'two']) await nixmaker('build', '-f', flake, '-d', join(folder, name));
  await nixmaker('sign', ...byHsm, ...unsigned);
  for (const file of unsigned) await nixmaker('verify', '--key', publicKey, file);

  const stick = join(folder, 'stick');
  await mkdir(stick);
  await nixmaker('put', stick, '-f', flake, '-d', join(folder, 'put'), '--plain-folder', ...byHsm);
  assert.match(await nixmaker('inspect', stick), /fleet-hsm/);

  const from = join(folder, 'keys.json');
  const keys = { schema: 1, version: 1, hosts: ['web'], trustedKeys: [publicKey], threshold: 1, roles: {} };
  await writeFile(from, JSON.stringify(keys));
  await nixmaker('keyring', 'make', from, join(folder, '1.keyring'));
  await nixmaker('keyring', 'sign', ...byHsm, join(folder, '1.keyring'));

  const root = join(folder, 'target');
  const nixConf = `!include ${join(root, 'state/store-key.conf')}\n`;
  const target = await makeTarget(root, { host: 'web', trustedKeys: [publicKey], nixKeys: [], nixConf });
  after(() => target.close());
  assert.equal((await target.verb('store-key')).code, 0);
  await target.restartDaemon();
  const taken = await target.verb('switch', ['--tarball', bundle, '--json']);
  assert.equal(taken.code, 0, taken.stdout + taken.stderr);
  assert.match((await target.run(['cat', '/run/current-system/etc/motd'])).stdout, /^hsm/);
  const accepted = await target.nixmaker([
    ...['keyring', 'accept', '--settings', target.settingsFile],
    join(folder, '1.keyring'),
  ]);
  assert.equal(accepted.code, 0, accepted.stdout + accepted.stderr);
});

test('a wrong PIN is offered to the token once, whoever else is waiting, and nothing is written', async () => {
  const flake = `path:${await writeFlake(join(folder, 'three'), {
    hosts: { a: plainHost('a'), b: plainHost('b'), c: plainHost('c') },
  })}`;
  const out = join(folder, 'out-three');
  const wrong = ['--sign-with', command('0000'), '--public-key', publicKey];
  const ran = await shop.builder.nixmaker(['build', '-f', flake, '-d', out, '--json', ...wrong]);
  assert.equal(ran.code, 1, ran.stderr);
  const { hosts } = JSON.parse(ran.stdout) as { hosts: { code: string; detail: string }[] };
  for (const { code, detail } of hosts) {
    assert.equal(code, 'signer-failed');
    assert.match(detail, /pkcs11-tool: exit 1: .*CKR_PIN_INCORRECT/);
  }
  assert.equal(hosts.length, 3);
  const written = (await readdir(out, { recursive: true })).filter((name) => name.endsWith('.tar'));
  assert.deepEqual(written, []);
});
