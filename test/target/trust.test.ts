/** The policy’s word on a real target: keys with times and roles, limits, windows, and a floor that was lost. */
import assert from 'node:assert/strict';
import { copyFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeTarget, type Target, type TargetOptions } from '../machines/sandboxed-target.ts';
import { makeKeys, makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const anna = await makeKeys(shop.folder, 'anna-1');
const targets: Target[] = [];
after(() => Promise.all(targets.map((target) => target.close())));

async function freshTarget(policy: Record<string, unknown> = {}, options: Partial<TargetOptions> = {}) {
  const target = await makeTarget(join(shop.folder, `target-${targets.length}`), {
    host: 'web',
    trustedKeys: [shop.keys.publicKey],
    policy,
    ...options,
  });
  targets.push(target);
  return target;
}

const release = (name: string, sequence: number) =>
  shop.bundle(name, { hosts: { web: plainHost('web', name) }, args: ['--sequence', String(sequence)] });

async function take(target: Target, bundle: string) {
  const ran = await target.verb('switch', ['--tarball', bundle, '--json']);
  const { state, code } = JSON.parse(ran.stdout) as { state: string; code?: string };
  return [state, code, ran.code];
}

const runs = async (target: Target) => (await target.run(['cat', '/run/current-system/etc/motd'])).stdout;

for (const [what, loss] of [
  ['gone', async (folder: string) => Promise.all(['a', 'b'].map((c) => rm(join(folder, `floor.${c}`))))],
  [
    'damaged',
    async (folder: string) => Promise.all(['a', 'b'].map((c) => writeFile(join(folder, `floor.${c}`), 'x'))),
  ],
] as const) {
  test(`a floor that is ${what} stops the machine from taking bundles until it is adopted; none is lost`, async () => {
    const target = await freshTarget();
    assert.deepEqual(await take(target, await release('one', 10)), ['committed', undefined, 0]);
    await loss(target.stateDirectory);
    await copyFile(await release('two', 20), join(target.inbox, 'two.tar'));
    const held = await target.verb('agent', ['--once']);
    assert.equal(held.code, 75, held.stderr);
    assert.match(held.stdout + held.stderr, /floor-lost/);
    assert.deepEqual(await readdir(target.inbox), ['two.tar']);
    assert.deepEqual(await take(target, await release('one', 10)), ['deferred', 'floor-lost', 75]);
    const shown = await target.verb('floor', []);
    assert.match(shown.stdout, /^lost: .*sequence 11/s, shown.stderr);
    assert.match((await target.verb('status', [])).stdout, /Sequence: +lost/);

    const lower = await target.nixmaker([
      'floor',
      'adopt',
      '--settings',
      target.settingsFile,
      '--sequence',
      '3',
    ]);
    assert.equal(lower.code, 64, lower.stdout + lower.stderr);
    const adopted = await target.nixmaker(['floor', 'adopt', '--settings', target.settingsFile]);
    assert.equal(adopted.code, 0, adopted.stderr);
    assert.match(adopted.stdout, /The floor is 11 again/);
    const again = await target.verb('agent', ['--once']);
    assert.equal(again.code, 0, again.stdout + again.stderr);
    assert.match(await runs(target), /^two/);
    assert.deepEqual(await take(target, await release('one', 10)), ['refused', 'sequence-older', 77]);
  });
}

test('a machine that has taken nothing has no floor to lose, and none to adopt', async () => {
  const target = await freshTarget();
  assert.match((await target.verb('floor', [])).stdout, /^none/);
  const adopted = await target.nixmaker(['floor', 'adopt', '--settings', target.settingsFile]);
  assert.equal(adopted.code, 64);
  assert.match(adopted.stderr, /not lost/);
});

test('a bundle brought again while it waits for the next start says nothing of the floor', async () => {
  const target = await freshTarget({ operation: 'boot' });
  const bring = async (bundle: string) => {
    const ran = await target.verb('boot', ['--tarball', bundle, '--json']);
    return (JSON.parse(ran.stdout) as { state: string; code?: string }).state;
  };
  assert.equal(await bring(await release('one', 10)), 'pending');
  assert.equal(await bring(await release('one', 10)), 'committed');
  assert.equal(await bring(await release('two', 20)), 'pending');
});

test('one copy of the floor is enough, and the next commit makes it two again', async () => {
  const target = await freshTarget();
  await take(target, await release('one', 10));
  await writeFile(join(target.stateDirectory, 'floor.a'), 'x');
  assert.deepEqual(await take(target, await release('two', 20)), ['committed', undefined, 0]);
  await rm(join(target.stateDirectory, 'floor.b'));
  assert.equal((await target.verb('floor', [])).stdout, '21\n');
});

test('a downgrade that was signed for this machine’s floor is taken; what it left, and anything older, is not', async () => {
  const target = await freshTarget();
  const newest = await release('newest', 20);
  assert.deepEqual(await take(target, newest), ['committed', undefined, 0]);
  const down = await shop.bundle('down', {
    hosts: { web: plainHost('web', 'down') },
    args: ['--sequence', '10', '--downgrade-from', '21'],
  });
  assert.deepEqual(await take(target, down), ['committed', undefined, 0]);
  assert.match(await runs(target), /^down/);
  assert.equal((await target.verb('floor', [])).stdout, '21\n');
  assert.deepEqual(await take(target, down), ['committed', undefined, 0]);
  assert.deepEqual(await take(target, newest), ['refused', 'sequence-conflict', 77]);
  assert.deepEqual(await take(target, await release('older', 12)), ['refused', 'sequence-older', 77]);
  await rm(join(target.stateDirectory, 'floor.a'));
  await rm(join(target.stateDirectory, 'floor.b'));
  await target.nixmaker(['floor', 'adopt', '--settings', target.settingsFile]);
  assert.deepEqual(await take(target, newest), ['refused', 'sequence-conflict', 77]);
  assert.deepEqual(await take(target, await release('next', 21)), ['committed', undefined, 0]);
  assert.deepEqual(await take(target, down), ['refused', 'sequence-older', 77]);
});

test('with a role for people, a bundle needs a person’s signature beside the build machine’s', async () => {
  const target = await freshTarget({
    trustedKeys: [
      { key: shop.keys.publicKey, roles: ['build'] },
      { key: anna.publicKey, roles: ['approve'] },
    ],
    roles: { build: 1, approve: 1 },
  });
  const bundle = join(shop.folder, 'approved.tar');
  await copyFile(await release('approved', 10), bundle);
  assert.deepEqual(await take(target, bundle), ['refused', 'role-missing', 77]);
  const signed = await shop.builder.nixmaker(['sign', '--key', anna.secretFile, bundle]);
  assert.equal(signed.code, 0, signed.stderr);
  assert.deepEqual(await take(target, bundle), ['committed', undefined, 0]);
});

test('a person’s SSH key approves what the build machine has signed', async () => {
  const file = join(shop.folder, 'bert');
  const made = await shop.builder.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', file]);
  assert.equal(made.code, 0, made.stderr);
  const bert = `bert:${(await readFile(`${file}.pub`, 'utf8')).trim()}`;
  const target = await freshTarget({ trustedKeys: [shop.keys.publicKey, bert], threshold: 2 });
  const bundle = join(shop.folder, 'ssh.tar');
  await copyFile(await release('ssh', 10), bundle);
  assert.deepEqual(await take(target, bundle), ['refused', 'signature-threshold', 65]);
  const signed = await shop.builder.nixmaker(['sign', '--ssh-key', file, '--name', 'bert', bundle]);
  assert.equal(signed.code, 0, signed.stderr);
  assert.match(signed.stderr, /Policies trust it as "bert:ssh-ed25519 /);
  assert.deepEqual(await take(target, bundle), ['committed', undefined, 0]);
  const verified = await shop.builder.nixmaker(['verify', '--key', bert, bundle]);
  assert.match(verified.stdout, /signed by bert/, verified.stderr);
});

test('a key whose time is over has no say any more', async () => {
  const key = { key: shop.keys.publicKey, notAfter: '2020-01-01T00:00:00Z' };
  const target = await freshTarget({ trustedKeys: [key] });
  const before = await target.validPaths();
  assert.deepEqual(await take(target, await release('one', 10)), ['refused', 'key-not-valid', 77]);
  assert.deepEqual(await target.validPaths(), before);
});

test('a bundle over a limit, or far ahead of the last, is refused', async () => {
  const small = await freshTarget({ limits: { closureBytes: 10 } });
  assert.deepEqual(await take(small, await release('one', 10)), ['refused', 'over-limit', 77]);
  const target = await freshTarget({ limits: { sequenceJump: 50 } });
  assert.deepEqual(await take(target, await release('one', 10)), ['committed', undefined, 0]);
  assert.deepEqual(await take(target, await release('far', 1000)), ['refused', 'sequence-jump', 77]);
});

test('room that the policy wants free stays free', async () => {
  const target = await freshTarget({ limits: { freeBytes: 2 ** 50 } });
  assert.deepEqual(await take(target, await release('one', 10)), ['deferred', 'no-space', 75]);
});

test('outside of its window the agent waits, and a person need not', async () => {
  const now = new Date();
  const time = (hours: number) => new Date(now.getTime() + hours * 3_600_000).toISOString().slice(11, 16);
  const target = await freshTarget({ window: { from: time(2), to: time(4) }, stage: { allow: false } });
  const bundle = await release('one', 10);
  await copyFile(bundle, join(target.inbox, 'web.tar'));
  const once = await target.verb('agent', ['--once']);
  assert.equal(once.code, 75);
  assert.match(once.stdout + once.stderr, /outside-window/);
  assert.deepEqual(await readdir(target.inbox), ['web.tar']);
  assert.deepEqual(await take(target, bundle), ['committed', undefined, 0]);
});

test('where the policy wants a local word, the agent asks for it each time before it changes anything', async () => {
  const yes = join(shop.folder, 'yes');
  const asked = join(shop.folder, 'asked');
  const script = `echo "$NIXMAKER_HOST $NIXMAKER_SEQUENCE $NIXMAKER_OPERATION" >>${asked}; test -e ${yes} || { echo "the lathe is running" >&2; exit 3; }`;
  const target = await freshTarget({
    approval: { command: ['sh', '-euc', script] },
    stage: { allow: false },
  });
  await copyFile(await release('one', 10), join(target.inbox, 'one.tar'));
  const no = await target.verb('agent', ['--once']);
  assert.equal(no.code, 75);
  assert.match(no.stdout + no.stderr, /not-approved.*refused \(exit 3\): the lathe is running/);
  assert.equal(await target.profile(), undefined);
  assert.deepEqual(await readdir(target.inbox), ['one.tar']);
  await writeFile(yes, '');
  assert.equal((await target.verb('agent', ['--once'])).code, 0);
  assert.match(await runs(target), /^one/);
  assert.equal(await readFile(asked, 'utf8'), 'web 11 switch\nweb 11 switch\n');
  await rm(yes);
  assert.deepEqual(await take(target, await release('two', 20)), ['committed', undefined, 0]);
});

test('where the inbox is no source, what lies in it is left alone', async () => {
  const target = await freshTarget({ sources: { inbox: false } });
  await copyFile(await release('one', 10), join(target.inbox, 'one.tar'));
  assert.equal((await target.verb('agent', ['--once'])).code, 0);
  assert.deepEqual(await readdir(target.inbox), ['one.tar']);
  assert.equal(await target.currentSystem(), undefined);
});

test('of settled bundles so many stay as the policy says, with their reports', async () => {
  const target = await freshTarget({ retention: { done: 1, refused: 2 } });
  const bring = async (bundle: string, name: string) => {
    await copyFile(bundle, join(target.inbox, name));
    await target.verb('agent', ['--once']);
  };
  await bring(await release('one', 10), 'one.tar');
  await bring(await release('two', 20), 'two.tar');
  assert.deepEqual((await readdir(join(target.inbox, 'done'))).sort(), ['two.tar', 'two.tar.txt']);
  for (const name of ['a.tar', 'b.tar', 'c.tar']) await bring(await release('one', 10), name);
  await writeFile(join(target.inbox, 'refused/somebody’s note'), '');
  await bring(await release('one', 10), 'd.tar');
  assert.deepEqual((await readdir(join(target.inbox, 'refused'))).sort(), [
    'c.tar',
    'c.tar.txt',
    'd.tar',
    'd.tar.txt',
    'somebody’s note',
  ]);
});
