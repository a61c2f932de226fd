import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const release = (name: string, sequence: number) =>
  shop.bundle(name, { hosts: { web: plainHost('web', name) }, args: ['--sequence', String(sequence)] });
const old = await release('old', 0);
const next = await release('next', 10);
let count = 0;
const options = { host: 'web', trustedKeys: [shop.keys.publicKey] };

/** Runs the old system; each test has a copy. */
const before = await makeTarget(join(shop.folder, 'before'), options);
assert.equal((await before.verb('switch', ['--tarball', old])).code, 0);
const previous = await before.currentSystem();
await before.close();

/** Installs the next system over the old one, under the health checks given. */
async function switchUnder(health: Record<string, unknown>) {
  count += 1;
  const target = await makeTarget(join(shop.folder, `target-${count}`), {
    ...options,
    copyOf: before.root,
    policy: { health: { settle: 0, interval: 0.1, retries: 0, timeout: 2, ...health } },
  });
  after(() => target.close());
  const started = performance.now();
  const ran = await target.verb('switch', ['--tarball', next, '--json']);
  const receipt = JSON.parse(ran.stdout) as {
    state: string;
    code?: string;
    detail?: string;
    health?: { check: string; ok: boolean }[];
  };
  return { ...receipt, exit: ran.code, seconds: (performance.now() - started) / 1000, target, previous };
}

test('a healthy system is committed, and the receipt has every check', async () => {
  const { state, health } = await switchUnder({ commands: [['test', '-e', '/run/current-system/etc/motd']] });
  assert.equal(state, 'committed');
  assert.deepEqual(health, [{ check: 'test -e /run/current-system/etc/motd', ok: true }]);
});

test('a check that fails brings the previous system back, and is named', async () => {
  const { state, code, detail, exit, target, previous } = await switchUnder({
    commands: [['true'], ['sh', '-c', 'echo the pump is dry >&2; exit 7']],
  });
  assert.deepEqual([state, code, exit], ['rolled-back', 'health-failed', 1]);
  assert.match(detail ?? '', /exit 7: the pump is dry/);
  assert.equal(await target.currentSystem(), previous);
  assert.equal(await target.profile(), 'system-1-link');
  const again = await target.verb('switch', ['--tarball', next, '--json']);
  assert.equal((JSON.parse(again.stdout) as { code: string }).code, 'failed-before');
});

test('a release that there is no way back from stays although it is unwell, and a person goes back all the same', async () => {
  const oneWay = await shop.bundle('one-way', {
    hosts: { web: plainHost('web', 'one-way') },
    args: ['--sequence', '20', '--one-way', 'the database is migrated'],
  });
  count += 1;
  const target = await makeTarget(join(shop.folder, `target-${count}`), {
    ...options,
    copyOf: before.root,
    policy: { health: { settle: 0, retries: 0, commands: [['sh', '-c', 'echo no table >&2; exit 1']] } },
  });
  after(() => target.close());
  const ran = await target.verb('switch', ['--tarball', oneWay]);
  assert.equal(ran.code, 1);
  const said = ran.stdout.replace(/\s+/g, ' ');
  assert.match(said, /^FAILED What: The new system is unhealthy but was left in place/);
  assert.match(said, /exit 1: no table\); the release is one-way: the database is migrated/);
  assert.notEqual(await target.currentSystem(), previous);
  assert.equal(await target.profile(), 'system-2-link');
  const history = await target.verb('history');
  assert.match(history.stdout, /21 +failed +left-unwell/);
  // Nobody’s switch again by itself.
  const again = await target.verb('switch', ['--tarball', oneWay]);
  assert.match(again.stdout, /\(?failed-before\)?/);
  // The release before it, on whatever medium it still lies, is no way back either.
  const older = await target.verb('switch', ['--tarball', old, '--json']);
  assert.equal((JSON.parse(older.stdout) as { code: string }).code, 'sequence-older', older.stdout);
  await writeFile(target.policyFile, (await readFile(target.policyFile, 'utf8')).replace('exit 1', 'exit 0'));
  const asked = await target.verb('rollback');
  assert.equal(asked.code, 77);
  assert.match(
    asked.stderr,
    /release 21 is one-way: the database is migrated\n[\s\S]*--despite-one-way[\s\S]*\(one-way\)/,
  );
  assert.notEqual(await target.currentSystem(), previous);
  const back = await target.verb('rollback', ['--despite-one-way']);
  assert.equal(back.code, 0, back.stdout + back.stderr);
  assert.match(back.stdout.replace(/\s+/g, ' '), /Gone back although release 21 is one-way: the database is/);
  assert.equal(await target.currentSystem(), previous);
});

test('a check that hangs has failed when its time is up', async () => {
  const { code, detail, seconds } = await switchUnder({ commands: [['sleep', '600']], timeout: 1 });
  assert.equal(code, 'health-failed');
  assert.match(detail ?? '', /timed out/);
  assert.ok(seconds < 20, `${seconds} s`);
});

test('a check that flaps gets the looks that the policy allows it', async () => {
  const flapping = [['sh', '-c', 'echo x >>/run/looks; test "$(wc -l </run/looks)" -ge 3']];
  assert.equal((await switchUnder({ commands: flapping, retries: 3 })).state, 'committed');
  assert.equal((await switchUnder({ commands: flapping, retries: 1 })).code, 'health-failed');
});

test('a port that nobody listens on, and a program that is not there, are failures like any other', async () => {
  // Port 1 (tcpmux) is nobody's on a machine of ours.
  const { code, detail } = await switchUnder({ tcp: [{ port: 1 }], commands: [['/no/such/program']] });
  assert.equal(code, 'health-failed');
  assert.match(detail ?? '', /ENOENT|not found|no such/i);
  assert.match(detail ?? '', /127\.0\.0\.1 port 1 answers \(.*ECONNREFUSED/);
});

test('boot is not held to checks of a system that does not run yet', async () => {
  const options = {
    host: 'web',
    trustedKeys: [shop.keys.publicKey],
    policy: { operation: 'boot', health: { commands: [['false']] } },
  };
  const target = await makeTarget(join(shop.folder, 'boot'), options);
  after(() => target.close());
  assert.equal((await target.verb('boot', ['--tarball', old])).code, 0);
});
