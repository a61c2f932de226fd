/** Keys that hosts have told by their receipts, as the desk prints them for secrets. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeBuilder } from '../machines/builder.ts';
import { run } from '../machines/program.ts';
import { makeWorkplace } from '../support/fleet.ts';
import { install, lay, nixmaker, nowOf } from '../support/receipts.ts';

const folder = await makeWorkplace();
const [medium, fleet] = [join(folder, 'stick'), join(folder, 'fleet')];
const sshHostKey = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${'D'.repeat(43)}`;
const ageRecipients = [`age1${'q'.repeat(58)}`];
const now = { ...nowOf(1, 1), sshHostKey };
await lay(medium, 'web', { '1.json': install('web').sign({ number: 1, now, ageRecipients }) });
await lay(medium, 'mail', { '1.json': install('mail').sign({ number: 1 }) });
const collected = await nixmaker('collect', medium, '--enrol', '-d', fleet);
assert.equal(collected.code, 0, collected.stderr);

test('the SSH host key is one line, as ssh reads it; of a host that has told none, that is said', async () => {
  const printed = await nixmaker('fleet', 'keys', 'web', '-d', fleet);
  assert.equal(printed.stdout, `${sshHostKey} web\n`, printed.stderr);
  const file = join(folder, 'web.pub');
  await writeFile(file, printed.stdout);
  const read = await run('ssh-keygen', ['-l', '-f', file]);
  assert.match(read.stdout, /^256 SHA256:\S+ web \(ED25519\)/, read.stderr);
  assert.equal((await nixmaker('fleet', 'keys', '-d', fleet)).stdout, printed.stdout, 'all that have one');
  const none = await nixmaker('fleet', 'keys', 'mail', '-d', fleet);
  assert.equal(none.code, 64);
  assert.match(none.stderr, /the newest receipt of mail has no SSH host key\n.*\(host-key-unknown\)/s);
});

test('the JSON can be read as docs/secrets.md does it', async () => {
  const { stdout } = await nixmaker('fleet', 'keys', '--json', '-d', fleet);
  assert.deepEqual((JSON.parse(stdout) as { hosts: unknown }).hosts, [
    { host: 'mail', ageRecipients: [] },
    { host: 'web', sshHostKey, ageRecipients },
  ]);
  const secrets = await readFile(new URL('../../docs/secrets.md', import.meta.url), 'utf8');
  const blocks = secrets.split('```nix').map((part) => part.split('```')[0] ?? '');
  const snippet = blocks.find((block) => block.includes('host-keys.json'));
  await writeFile(join(folder, 'secrets.nix'), snippet ?? '');
  await writeFile(join(folder, 'host-keys.json'), stdout);
  const builder = await makeBuilder(join(folder, 'builder'));
  const evaluate = ['nix-instantiate', '--eval', '--strict', '--json', join(folder, 'secrets.nix')];
  const evaluated = await builder.run(evaluate);
  assert.equal(evaluated.code, 0, evaluated.stderr);
  assert.deepEqual(JSON.parse(evaluated.stdout), {
    'mail-password.age': { publicKeys: ['ssh-ed25519 AAAA… anna', sshHostKey] },
  });
});

test('a receipt with something else where the key should be is refused', async () => {
  const odd = install('odd');
  await lay(medium, 'odd', {
    '1.json': odd.sign({ number: 1, now: { ...now, sshHostKey: `${sshHostKey}\nssh-ed25519 x` } }),
  });
  const ran = await nixmaker('collect', medium, '--enrol', '-d', fleet, '--json');
  assert.equal(ran.code, 65);
  assert.match(ran.stdout, /now\.sshHostKey: is not an Ed25519 SSH key/);
});
