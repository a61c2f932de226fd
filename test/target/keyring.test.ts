/** Keys that change by a file that travels, on real targets. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { type Keys, makeKeys, makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const first = shop.keys;
const second = await makeKeys(shop.folder, 'second-1');
const third = await makeKeys(shop.folder, 'third-1');
const targets: Target[] = [];
after(() => Promise.all(targets.map((target) => target.close())));

async function freshTarget(policy: Record<string, unknown> = {}) {
  const target = await makeTarget(join(shop.folder, `target-${targets.length}`), {
    host: 'web',
    trustedKeys: [first.publicKey],
    // Whom Nix believes is Nix’s own setting.
    nixKeys: [first.publicKey, second.publicKey, third.publicKey],
    policy,
  });
  targets.push(target);
  return target;
}

/** A bundle that these have signed: the first of them the narinfos, too. */
async function bundle(name: string, sequence: number, ...by: readonly Keys[]): Promise<string> {
  const path = join(shop.folder, `${name}.tar`);
  const args = ['--unsigned', '--sequence', String(sequence)];
  await copyFile(await shop.bundle(name, { hosts: { web: plainHost('web', name) }, args }), path);
  for (const { secretFile } of by) await must(['sign', '--key', secretFile, path]);
  return path;
}

async function must(args: readonly string[]) {
  const ran = await shop.builder.nixmaker(args);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  return ran;
}

interface Changes {
  readonly hosts?: readonly string[];
  readonly minimumSequence?: number;
}

async function keyring(version: number, keys: readonly Keys[], by: readonly Keys[], changes: Changes = {}) {
  const { hosts = ['web'], minimumSequence } = changes;
  const from = join(shop.folder, `keyring-${version}.json`);
  const to = join(shop.folder, `${version}.keyring`);
  const trustedKeys = keys.map((k) => k.publicKey);
  await writeFile(
    from,
    JSON.stringify(
      { schema: 1, version, hosts, trustedKeys, threshold: 1, roles: {}, minimumSequence },
      null,
      2,
    ),
  );
  await must(['keyring', 'make', from, to]);
  for (const { secretFile } of by) await must(['keyring', 'sign', '--key', secretFile, to]);
  return to;
}

async function take(target: Target, path: string) {
  const ran = await target.verb('switch', ['--tarball', path, '--json']);
  const { state, code } = JSON.parse(ran.stdout) as { state: string; code?: string };
  return code ?? state;
}

test('a keyring in the inbox changes whom a running agent believes, from the next bundle on', async () => {
  const target = await freshTarget();
  const agent = await target.startAgent();
  await copyFile(await bundle('early', 10, second), join(target.inbox, 'early.tar'));
  await agent.waitFor((l) => l.event === 'refused' && l.code === 'signature-unknown-key');
  await copyFile(await keyring(1, [second], [first, second]), join(target.inbox, 'fleet.keyring'));
  await agent.waitFor((l) => l.event === 'keyring-accepted' && l.version === 1);
  await copyFile(await bundle('rotated', 20, second), join(target.inbox, 'rotated.tar'));
  await agent.waitFor((l) => l.event === 'committed' && l.sequence === 21);
  await copyFile(await bundle('stolen', 30, first), join(target.inbox, 'stolen.tar'));
  await agent.waitFor(
    (l) =>
      l.event === 'refused' &&
      l.sequence === undefined &&
      l.code === 'signature-unknown-key' &&
      String(l.source).endsWith('stolen.tar'),
  );
  assert.match((await target.verb('status', [])).stdout, /Keyring: +version 1/);
  assert.ok((await readdir(target.inbox)).includes('fleet.keyring'), 'it stays for whoever else it is for');
});

test('on a medium the versions in between are taken in their order, and the bundle of the last with them', async () => {
  const pool = join(shop.folder, 'pool');
  await mkdir(pool);
  const target = await freshTarget({ media: { folders: [pool] } });
  const files = [await keyring(2, [third], [second, third]), await keyring(1, [second], [first, second])];
  await must(['put', pool, ...files, await bundle('by-third', 40, third)]);
  assert.deepEqual((await readdir(join(pool, 'nixmaker/keyrings'))).sort(), ['1.keyring', '2.keyring']);
  const once = await target.verb('agent', ['--once']);
  assert.equal(once.code, 0, once.stdout + once.stderr);
  assert.match((await target.run(['cat', '/run/current-system/etc/motd'])).stdout, /^by-third/);
  assert.equal(await take(target, await bundle('by-second', 50, second)), 'signature-unknown-key');
});

test('a keyring that comes before the one it follows is named, and accepted once that has come', async () => {
  const target = await freshTarget();
  const agent = await target.startAgent();
  await copyFile(await keyring(2, [third], [second, third]), join(target.inbox, 'second.keyring'));
  await agent.waitFor((l) => l.event === 'keyring-refused' && l.code === 'keyring-gap');
  await copyFile(await keyring(1, [second], [first, second]), join(target.inbox, 'first.keyring'));
  await agent.waitFor((l) => l.event === 'keyring-accepted' && l.version === 2);
});

test('a keyring with a least sequence: what a misused key signed before is refused, and the key goes on being used', async () => {
  const target = await freshTarget();
  const by = [first];
  const accept = async (file: string) =>
    target.nixmaker(['keyring', 'accept', '--settings', target.settingsFile, file]);
  const accepted = await accept(await keyring(1, [first], by, { minimumSequence: 31 }));
  assert.equal(accepted.code, 0, accepted.stderr);
  const stolen = await target.verb('switch', ['--tarball', await bundle('misused', 29, first), '--json']);
  const { code, detail } = JSON.parse(stolen.stdout) as { code: string; detail: string };
  assert.deepEqual([code, detail], ['sequence-older', 'it has sequence 30; the least taken here is 31']);
  const lower = await accept(await keyring(2, [first, second], by));
  assert.match(lower.stderr, /minimumSequence is 0; that of the keyring in force is 31.*\(keyring-lower\)/s);
  assert.equal(lower.code, 77);
  assert.equal(await take(target, await bundle('after-the-theft', 30, first)), 'committed');
});

test('a policy that an upgrade brings back lowers nothing, and one that names the version counts', async () => {
  const target = await freshTarget();
  const accept = await target.nixmaker([
    'keyring',
    'accept',
    '--settings',
    target.settingsFile,
    await keyring(1, [second], [first, second]),
  ]);
  assert.equal(accept.code, 0, accept.stderr);
  const again = await target.nixmaker([
    'keyring',
    'accept',
    '--settings',
    target.settingsFile,
    await keyring(1, [second], [first, second]),
  ]);
  assert.equal(again.code, 77, again.stderr);
  assert.equal(await take(target, await bundle('old-key', 10, first)), 'signature-unknown-key');
  const policy = { schema: 1, host: 'web', operation: 'switch', trustedKeys: [third.publicKey] };
  await writeFile(target.policyFile, JSON.stringify(policy));
  assert.equal(await take(target, await bundle('third-key', 10, third)), 'signature-unknown-key');
  await writeFile(target.policyFile, JSON.stringify({ ...policy, keyringVersion: 1 }));
  assert.equal(await take(target, await bundle('third-key', 10, third)), 'committed');
});

test('a keyring that too few have signed, one for other hosts and one too far ahead change nothing, and are named', async () => {
  const target = await freshTarget();
  for (const [make, code] of [
    [() => keyring(1, [second], [second]), 'keyring-untrusted'],
    [() => keyring(1, [second], [first]), 'keyring-untrusted'],
    [() => keyring(1, [second], [first, second], { hosts: ['mail'] }), 'wrong-host'],
    [() => keyring(5, [second], [first, second]), 'keyring-gap'],
  ] as const) {
    await copyFile(await make(), join(target.inbox, 'x.keyring'));
    const once = await target.verb('agent', ['--once', '--verbose']);
    assert.match(once.stdout + once.stderr, new RegExp(code));
    assert.equal(await take(target, await bundle('by-second-again', 10, second)), 'signature-unknown-key');
  }
  await writeFile(join(target.inbox, 'x.keyring'), 'no keyring at all');
  // Nor does what can’t be read, or hangs whoever opens it.
  await symlink('/dev/zero', join(target.inbox, 'link.keyring'));
  await mkdir(join(target.inbox, 'folder.keyring'));
  await target.run(['mkfifo', join(target.inbox, 'pipe.keyring')]);
  await writeFile(join(target.inbox, 'large.keyring'), Buffer.alloc(1024 * 1024));
  await copyFile(await bundle('by-first', 10, first), join(target.inbox, 'web.tar'));
  assert.equal((await target.verb('agent', ['--once'])).code, 0);
});

test('one copy of the keyring is enough; with both damaged nobody is believed', async () => {
  const target = await freshTarget();
  await target.nixmaker([
    'keyring',
    'accept',
    '--settings',
    target.settingsFile,
    await keyring(1, [second], [first, second]),
  ]);
  await writeFile(join(target.stateDirectory, 'keyring.a'), 'x');
  assert.equal(await take(target, await bundle('one-copy', 10, second)), 'committed');
  await rm(join(target.stateDirectory, 'keyring.a'));
  await writeFile(join(target.stateDirectory, 'keyring.b'), 'x');
  const ran = await target.verb('switch', ['--tarball', await bundle('no-copy', 20, first)]);
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /both copies of the keyring in \S+ are damaged\n.*\(state-corrupt\)/s);
});
