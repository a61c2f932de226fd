/** Bundles encrypted to hosts, on real targets. */
import assert from 'node:assert/strict';
import { appendFile, copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { install, lay } from '../support/receipts.ts';

const shop = await makeWorkshop();
const targets: Target[] = [];
after(() => Promise.all(targets.map((target) => target.close())));

async function freshTarget(policy: Record<string, unknown> = {}): Promise<Target> {
  const options = { host: 'web', trustedKeys: [shop.keys.publicKey], policy };
  const target = await makeTarget(join(shop.folder, `target-${targets.length}`), options);
  targets.push(target);
  return target;
}

async function recipient(target: Target): Promise<string> {
  const ran = await target.verb('age-key');
  assert.equal(ran.code, 0, ran.stderr);
  return ran.stdout.trim();
}

/** @returns the path of the encrypted bundle */
async function sealedRelease(name: string, sequence: number, ...to: readonly string[]): Promise<string> {
  const args = ['--sequence', String(sequence)];
  const path = await shop.bundle(name, { hosts: { web: plainHost('web', name) }, args });
  const ran = await shop.builder.nixmaker(['encrypt', ...to.flatMap((r) => ['--to', r]), path]);
  assert.deepEqual([ran.code, ran.stdout], [0, `${path}.age\n`], ran.stderr);
  return `${path}.age`;
}

const target = await freshTarget();
const other = await freshTarget();
const mine = await recipient(target);
const others = await recipient(other);

test('the key is made once, for the agent alone, and nothing of the bundle shows through', async () => {
  assert.match(mine, /^age1[a-z0-9]{58}$/);
  assert.equal(await recipient(target), mine);
  assert.equal((await stat(join(target.stateDirectory, 'age.identity'))).mode & 0o777, 0o600);
  const bytes = await readFile(await sealedRelease('first', 10, mine));
  assert.doesNotMatch(bytes.toString('latin1'), /manifest\.json|nix-cache-info|"host"/);
});

test('dropped into the inbox, slowly, it is taken where it lies; to a host that it is not for it says nothing', async () => {
  const agent = await target.startAgent();
  const bytes = await readFile(await sealedRelease('first', 10, mine));
  const path = join(target.inbox, 'parcel.tar.age');
  await writeFile(path, bytes.subarray(0, bytes.length - 5000));
  await agent.waitFor((l) => l.event === 'waiting' || l.event === 'incomplete');
  await appendFile(path, bytes.subarray(bytes.length - 5000));
  const done = await agent.waitFor((l) => l.event === 'committed');
  assert.equal(done.sequence, 11);
  await agent.waitFor((l) => l.event === 'settled');
  assert.deepEqual((await readdir(join(target.inbox, 'done'))).sort(), [
    'parcel.tar.age',
    'parcel.tar.age.txt',
  ]);
  await agent.stop();

  await copyFile(await sealedRelease('for-other', 20, others), join(target.inbox, 'parcel.tar.age'));
  const ran = await target.verb('agent', ['--once']);
  assert.equal(ran.code, 65, ran.stdout);
  assert.match(await readFile(join(target.inbox, 'refused/parcel.tar.age.txt'), 'utf8'), /not-decryptable/);
});

test('one file for two hosts is read by both, also from standard input', async () => {
  const path = await sealedRelease('both', 30, mine, others);
  for (const host of [target, other]) {
    const ran = await host.verb('switch', ['--tarball', '-', '--json'], { input: await readFile(path) });
    assert.equal((JSON.parse(ran.stdout) as { state: string }).state, 'committed', ran.stdout);
  }
});

test('the desk encrypts to the key that a host’s receipts name, and to no other', async () => {
  const [medium, fleet] = [join(shop.folder, 'stick'), join(shop.folder, 'fleet')];
  const path = await shop.bundle('told', {
    hosts: { web: plainHost('web', 'told') },
    args: ['--sequence', '35'],
  });
  const encrypt = (...to: string[]) =>
    shop.builder.nixmaker(['encrypt', ...to.flatMap((host) => ['--to-host', host]), '-d', fleet, path]);
  await lay(medium, 'web', { '1.json': install('web').sign({ number: 1, ageRecipients: [mine] }) });
  await lay(medium, 'mail', { '1.json': install('mail').sign({ number: 1 }) });
  const collected = await shop.builder.nixmaker(['collect', medium, '--enrol', '-d', fleet]);
  assert.equal(collected.code, 0, collected.stderr);
  for (const [host, why] of [
    ['mail', /the newest receipt of mail has no age recipient/],
    ['gone', /there is no receipt of gone in .*fleet that counts/],
  ] as const) {
    const ran = await encrypt(host);
    assert.equal(ran.code, 64);
    assert.match(ran.stderr, why);
    assert.match(ran.stderr, /\(host-key-unknown\)/);
  }
  const none = await encrypt();
  assert.match(none.stderr, /no recipients given: --to or --to-host/);
  const ran = await encrypt('web');
  assert.deepEqual([ran.code, ran.stdout], [0, `${path}.age\n`], ran.stderr);
  const taken = await target.verb('switch', ['--tarball', `${path}.age`, '--json']);
  assert.equal((JSON.parse(taken.stdout) as { state: string }).state, 'committed', taken.stdout);
  const refused = await other.verb('switch', ['--tarball', `${path}.age`, '--json']);
  assert.equal((JSON.parse(refused.stdout) as { code: string }).code, 'not-decryptable', refused.stdout);
});

test('on a medium with files for others, its own is found and the others are passed over in silence', async () => {
  const medium = join(shop.folder, 'medium');
  await mkdir(medium);
  const host = await freshTarget({ media: { folders: [medium] } });
  await copyFile(await sealedRelease('own', 40, await recipient(host)), join(medium, 'a.tar.age'));
  await copyFile(await sealedRelease('both', 30, mine, others), join(medium, 'b.tar.age'));
  const once = await host.verb('agent', ['--once']);
  assert.equal(once.code, 0, once.stdout + once.stderr);
  assert.doesNotMatch(once.stderr, /b\.tar\.age|not-decryptable/);
  assert.match((await host.run(['cat', '/run/current-system/etc/motd'])).stdout, /^own/);
});

test('encryption is no trust: what a stranger has signed and encrypted to this host is refused', async () => {
  const args = ['--unsigned', '--sequence', '50'];
  const path = await shop.bundle('strange', { hosts: { web: plainHost('web', 'strange') }, args });
  const made = await shop.builder.nixmaker(['keygen', 'stranger-1', '--out', shop.folder]);
  assert.equal(made.code, 0, made.stderr);
  const early = await shop.builder.nixmaker(['encrypt', '--to', mine, path]);
  assert.deepEqual([early.code, /signature-missing/.test(early.stderr)], [65, true], early.stderr);
  for (const args of [
    ['sign', '--key', join(shop.folder, 'stranger-1.secret'), path],
    ['encrypt', '--to', mine, path],
  ]) {
    const ran = await shop.builder.nixmaker(args);
    assert.equal(ran.code, 0, ran.stderr);
  }
  const ran = await target.verb('switch', ['--tarball', `${path}.age`, '--json']);
  assert.equal((JSON.parse(ran.stdout) as { code: string }).code, 'signature-unknown-key');
  for (const verb of ['verify', 'inspect', 'sign']) {
    const key = verb === 'sign' ? ['--key', shop.keys.secretFile] : [];
    const told = await shop.builder.nixmaker([verb, ...key, `${path}.age`]);
    assert.notEqual(told.code, 0);
    assert.match(told.stdout + told.stderr, /not-decryptable|encrypted/, verb);
  }
});
