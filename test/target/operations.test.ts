/** What the command line and the policy do with a bundle: switch, boot, test, going back. */
import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import { copyFile, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultSystem } from '../machines/boot-menu.ts';
import { main } from '../machines/compiled.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { parse, Targets, take } from '../support/targets.ts';

const shop = await makeWorkshop();
const targets = new Targets(shop);

test('switch takes a bundle from standard input, and refuses a bad one there too', async () => {
  const target = await targets.fresh();
  const bundle = await readFile(await targets.release('stdin'));
  const cut = await target.verb('switch', ['--tarball', '-', '--json'], {
    input: bundle.subarray(0, bundle.length - 600),
  });
  assert.deepEqual([cut.code, parse(cut.stdout).code], [65, 'bundle-truncated']);
  const long = await target.verb('switch', ['--tarball', '-', '--json'], {
    input: Buffer.concat([bundle, Buffer.alloc(512)]),
  });
  assert.deepEqual([long.code, parse(long.stdout).code], [65, 'bundle-trailing-data']);
  const empty = await target.verb('switch', ['--tarball', '-', '--json'], { input: '' });
  assert.equal(empty.code, 65);
  const ran = await target.verb('switch', ['--tarball', '-', '--json'], { input: bundle });
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  assert.match((await target.currentSystem()) ?? '', /nixos-system-web/);
  assert.deepEqual(await readdir(join(target.stateDirectory, 'work')), []);
});

test('boot installs for the next start and leaves the running system alone', async () => {
  const { target } = await targets.running();
  const running = await target.currentSystem();
  const receipt = await take(target, 'boot', await targets.release('two', '--sequence', '5'));
  assert.deepEqual([receipt.state, receipt.generation], ['pending', 2]);
  assert.equal(await target.currentSystem(), running);
  assert.equal(await defaultSystem(target.root), receipt.toplevel);
  const status = JSON.parse((await target.verb('status', ['--json'])).stdout) as { pending: boolean };
  assert.equal(status.pending, true);
});

test('test runs a system without installing it; dry-activate changes nothing; neither raises the floor', async () => {
  const { target } = await targets.running();
  const running = await target.currentSystem();
  const two = await targets.release('two', '--sequence', '5');
  const dry = await take(target, 'dry-activate', two);
  assert.equal(dry.state, 'committed');
  assert.equal(await target.currentSystem(), running);
  const tried = await take(target, 'test', two);
  assert.equal(tried.state, 'committed');
  assert.equal(await target.currentSystem(), tried.toplevel);
  assert.equal(await target.profile(), 'system-1-link');
  assert.equal((await take(target, 'switch', await targets.release('one'))).state, 'committed');
  assert.equal(await target.currentSystem(), running);
});

test('a dry-activate that fails has failed, with what it said; nothing was changed, and the bundle may still be taken', async () => {
  const { target, one } = await targets.running();
  const bundle = await shop.bundle('dry-fails', {
    hosts: { web: plainHost('web', 'dry-fails') },
    args: ['--sequence', '5'],
    switchPrelude: 'if [ "${1:-}" = dry-activate ]; then echo "would not do" >&2; exit 1; fi',
  });
  const dry = await take(target, 'dry-activate', bundle);
  assert.deepEqual([dry.state, dry.code, dry.exit], ['failed', 'activation-failed', 1]);
  assert.match(dry.detail ?? '', /^switch-to-configuration: \S+ \(exit 1\): would not do$/);
  assert.equal(await target.currentSystem(), one.toplevel);
  assert.equal(await target.profile(), 'system-1-link');
  assert.equal((await take(target, 'switch', bundle)).state, 'committed');
});

test('the policy’s operation is what the agent does, and what it does not list is refused', async () => {
  const target = await targets.fresh({ policy: { operation: 'boot', operations: ['boot'] } });
  const bundle = await targets.release('one');
  const refused = await take(target, 'switch', bundle);
  assert.deepEqual([refused.code, refused.exit], ['operation-forbidden', 77]);
  await copyFile(bundle, join(target.inbox, 'web.tar'));
  assert.equal((await target.verb('agent', ['--once'])).code, 0);
  assert.equal(await target.profile(), 'system-1-link');
  assert.equal(await target.currentSystem(), undefined);
  assert.match(
    await readFile(join(target.inbox, 'done/web.tar.txt'), 'utf8'),
    /^PENDING, installed and to be confirmed/,
  );
});

test('an operator goes back: to the generation before, or to one by number; the floor stays', async () => {
  const { target, one } = await targets.running();
  const two = await take(target, 'switch', await targets.release('two', '--sequence', '5'));
  const back = await target.verb('rollback', ['--json']);
  assert.equal(back.code, 0, back.stderr);
  assert.equal(await target.currentSystem(), one.toplevel);
  assert.equal(await target.profile(), 'system-1-link');
  assert.equal(await defaultSystem(target.root), one.toplevel);
  const floor = JSON.parse((await target.verb('status', ['--json'])).stdout) as {
    floor: { sequence: number };
  };
  assert.equal(floor.floor.sequence, 6);
  assert.equal((await take(target, 'switch', await targets.release('one'))).code, 'sequence-older');

  assert.equal((await target.verb('rollback', ['--to', '2'])).code, 0);
  assert.equal(await target.currentSystem(), two.toplevel);
  for (const wrong of [
    ['--to', '7'],
    ['--to', 'x'],
  ])
    assert.equal((await target.verb('rollback', wrong)).code, 64);
  assert.equal((await target.verb('rollback')).code, 0);
  const none = await target.verb('rollback');
  assert.equal(none.code, 64);
  assert.match(none.stderr, /available generations: 1, 2\n.*\(no-such-generation\)/s);
  assert.match((await target.verb('history')).stdout, /done .*generation 1, rolled back from release 6$/m);
});

test('standard input that there is no room for is refused with its code, and nothing of it stays', async () => {
  const target = await targets.fresh();
  const work = join(target.stateDirectory, 'work');
  const mounted = await target.run(['sh', '-euc', `mkdir -p ${work}; mount -t tmpfs -o size=4k t ${work}`]);
  assert.equal(mounted.code, 0, mounted.stderr);
  const input = await readFile(await targets.release('stdin'));
  const full = await target.verb('switch', ['--tarball', '-'], { input });
  assert.deepEqual([full.code, full.stdout], [75, ''], full.stderr);
  assert.match(
    full.stderr,
    /cannot store standard input in .*work: 16 MiB must stay free; only [\d.]+ \w+ free.*\(no-space\)/s,
  );
  assert.doesNotMatch(full.stderr, /^ +at /m, 'no stack trace');
  assert.equal((await target.run(['umount', work])).code, 0);
  assert.equal((await target.verb('switch', ['--tarball', '-'], { input })).code, 0);
});

test('standard input that is a file works as well', async () => {
  const target = await targets.fresh();
  const bundle = await targets.release('file-stdin');
  let bytes = Buffer.alloc(0);
  for await (const chunk of createReadStream(bundle)) bytes = Buffer.concat([bytes, chunk as Buffer]);
  const ran = await target.run([
    'sh',
    '-c',
    'exec "$@" < "$0"',
    bundle,
    process.execPath,
    main,
    'switch',
    '--settings',
    target.settingsFile,
    '--tarball',
    '-',
  ]);
  assert.equal(ran.code, 0, ran.stderr);
});
