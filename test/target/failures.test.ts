/** Systems that fail to come up, and what is put back. */
import assert from 'node:assert/strict';
import { copyFile, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultSystem } from '../machines/boot-menu.ts';
import { killedRun } from '../machines/compiled.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { Targets, take } from '../support/targets.ts';

const shop = await makeWorkshop();
const targets = new Targets(shop);

test('what the sandboxed switch says reaches the receipt, and a failing one is rolled back', async () => {
  const { target, one } = await targets.running();
  const bad = await shop.bundle('bad', {
    hosts: { web: plainHost('web', 'bad') },
    args: ['--sequence', '5'],
    switchPrelude: 'if [ "${1:-}" = switch ]; then echo "the galley is on fire" >&2; exit 2; fi',
  });
  const receipt = await take(target, 'switch', bad);
  assert.deepEqual([receipt.state, receipt.code, receipt.exit], ['rolled-back', 'activation-failed', 1]);
  assert.match(receipt.detail ?? '', /activation-script-failed \(exit 2\): the galley is on fire/);
  assert.equal(await target.profile(), 'system-1-link');
  assert.equal(await target.currentSystem(), one.toplevel);
  assert.equal(await defaultSystem(target.root), one.toplevel);
  const again = await take(target, 'switch', bad);
  assert.deepEqual([again.code, again.exit], ['failed-before', 77]);
  assert.equal(
    (await take(target, 'switch', await targets.release('three', '--sequence', '8'))).state,
    'committed',
  );
});

for (const [exit, notice] of [[4, /some units failed/]] as const) {
  test(`exit ${exit} of switch-to-configuration is a success with a notice`, async () => {
    const target = await targets.fresh();
    const bundle = await shop.bundle(`exit-${exit}`, {
      switchPrelude: `trap 'code=$?; [ "$code" = 0 ] && [ "$action" = switch ] && exit ${exit}; exit $code' EXIT`,
    });
    const receipt = await take(target, 'switch', bundle);
    assert.equal(receipt.state, 'committed');
    assert.match(receipt.notices?.join() ?? '', notice);
  });
}

test('a first system that can’t be installed: there was none to go back to, and nothing else is said', async () => {
  const target = await targets.fresh();
  const bad = await shop.bundle('bad-first', {
    args: ['--sequence', '5'],
    switchPrelude: 'if [ "${1:-}" = boot ]; then echo "no room on /boot" >&2; exit 1; fi',
  });
  const receipt = await take(target, 'boot', bad);
  assert.deepEqual([receipt.state, receipt.code, receipt.exit], ['failed', 'no-way-back', 1]);
  assert.match(
    receipt.detail ?? '',
    /no room on \/boot; no system was installed before; \S+ is installed now/,
  );
  assert.doesNotMatch(receipt.said, /restored/);
  assert.equal((await take(target, 'boot', bad)).code, 'failed-before');
  const good = await take(target, 'boot', await targets.release('good-first', '--sequence', '8'));
  assert.equal(good.state, 'pending', good.detail);
});

for (const exit of [1, 2, 101]) {
  test(`exit ${exit} of switch-to-configuration is a failure, and the previous system comes back`, async () => {
    const { target, one } = await targets.running();
    const bundle = await shop.bundle(`fails-${exit}`, {
      hosts: { web: plainHost('web', `fails-${exit}`) },
      args: ['--sequence', '50'],
      switchPrelude: `if [ "\${1:-}" = switch ]; then exit ${exit}; fi`,
    });
    const receipt = await take(target, 'switch', bundle);
    assert.deepEqual([receipt.state, receipt.code], ['rolled-back', 'activation-failed']);
    assert.equal(await target.currentSystem(), one.toplevel);
    assert.equal(await target.profile(), 'system-1-link');
  });
}

test('a lock that another switch holds is waited for', async () => {
  const target = await targets.fresh();
  const bundle = await targets.release('one');
  const lock = '/run/nixos/switch-to-configuration.lock';
  const holding = target.run([
    'sh',
    '-euc',
    `mkdir -p /run/nixos; flock ${lock} sh -c 'touch /run/held; sleep 4'`,
  ]);
  while (!(await readdir(join(target.root, 'run'))).includes('held'))
    await new Promise((resolve) => setTimeout(resolve, 20));
  const receipt = await take(target, 'switch', bundle);
  assert.equal(receipt.state, 'committed');
  assert.equal((await holding).code, 0);
});

test('a failing boot loader leaves profile and running system as they were', async () => {
  const { target, one } = await targets.running();
  const bad = await shop.bundle('no-boot', {
    hosts: { web: plainHost('web', 'no-boot') },
    args: ['--sequence', '5'],
    switchPrelude: 'if [ "${1:-}" = boot ]; then exit 1; fi',
  });
  const receipt = await take(target, 'switch', bad);
  assert.equal(receipt.state, 'rolled-back');
  assert.equal(await target.currentSystem(), one.toplevel);
  assert.equal(await target.profile(), 'system-1-link');
});

for (const bundle of ['stays', 'is gone'])
  test(`paths that a power cut in the middle of an import left valid and wrong are found and deleted; the bundle ${bundle}`, async () => {
    const target = await targets.fresh();
    await copyFile(await targets.release('cut-off'), join(target.inbox, 'web.tar'));
    const killed = await target.run([
      process.execPath,
      killedRun,
      target.settingsFile,
      'before',
      'imported',
      'another-boot',
    ]);
    assert.equal(killed.signal, 'SIGKILL');
    // What never reached the disk: the contents are gone, the database says valid.
    const base = (await target.validPaths()).find((p) => p.includes('-sample-base-'));
    assert.ok(base !== undefined);
    const lost = await target.run([
      'sh',
      '-euc',
      'chmod u+w "$1/share" "$1/share/manual"; : >"$1/share/manual"',
      'sh',
      base,
    ]);
    assert.equal(lost.code, 0, lost.stderr);
    const found = await target.run(['nix-store', '--verify', '--check-contents']);
    assert.match(found.stderr, /was modified/);
    if (bundle === 'is gone') await rm(join(target.inbox, 'web.tar'));

    const ran = await target.verb('agent', ['--once', '--json']);
    assert.equal(ran.code, 0, ran.stdout + ran.stderr);
    assert.match(
      await readFile(join(target.stateDirectory, 'journal'), 'utf8'),
      /1 store paths damaged by a power cut were deleted; the bundle brings them again/,
    );
    const after = await target.run(['nix-store', '--verify', '--check-contents']);
    assert.doesNotMatch(after.stderr, /modified|disappeared/);

    const healed = await target.validPaths();
    assert.equal(healed.includes(base), bundle === 'stays');

    // Once mended, the next import does not look again.
    const next = await target.verb('switch', [
      '--tarball',
      await targets.release('after-cut', '--sequence', '9'),
      '--verbose',
    ]);
    assert.equal(next.code, 0);
    assert.doesNotMatch(next.stderr, /store-checked/);
  });
