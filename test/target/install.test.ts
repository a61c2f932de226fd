import assert from 'node:assert/strict';
import { createReadStream } from 'node:fs';
import {
  appendFile,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { killedRun, main } from '../machines/compiled.ts';
import { makeTarget, type Target, type TargetOptions } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
let count = 0;

async function freshTarget(options: Partial<TargetOptions> = {}): Promise<Target> {
  count += 1;
  const target = await makeTarget(join(shop.folder, `target-${count}`), {
    host: 'web',
    trustedKeys: [shop.keys.publicKey],
    ...options,
  });
  after(() => target.close());
  return target;
}

const release = (name: string, ...args: string[]) =>
  shop.bundle(name, { hosts: { web: plainHost('web', name) }, args });
const parse = (text: string) =>
  JSON.parse(text) as {
    state: string;
    code?: string;
    detail?: string;
    generation?: number;
    notices?: string[];
    previousToplevel?: string;
    toplevel: string;
  };

async function take(target: Target, verb: string, path: string, ...more: string[]) {
  const ran = await target.verb(verb, ['--tarball', path, '--json', ...more]);
  return { ...parse(ran.stdout), exit: ran.code, said: ran.stderr };
}

test('dropped into the inbox, a bundle becomes the running system, with a boot entry and a report', async () => {
  const target = await freshTarget();
  const agent = await target.startAgent();
  await copyFile(await release('one'), join(target.inbox, 'web.tar'));
  const settled = await agent.waitFor((l) => l.event === 'settled');
  const events = agent
    .log()
    .filter((l) => l.transaction === settled.transaction)
    .map((l) => l.event);
  assert.deepEqual(events, [
    'discovered',
    'verified',
    'accepted',
    'imported',
    'realised',
    'profile-set',
    'boot-entry',
    'switched',
    'healthy',
    'committed',
    'settled',
  ]);
  assert.match((await target.currentSystem()) ?? '', /nixos-system-web/);
  assert.equal(await target.profile(), 'system-1-link');
  assert.match(await readFile(join(target.root, 'boot/loader/loader.conf'), 'utf8'), /nixos-generation-1/);
  assert.deepEqual((await readdir(join(target.inbox, 'done'))).sort(), ['web.tar', 'web.tar.txt']);
  assert.match(await readFile(join(target.inbox, 'done/web.tar.txt'), 'utf8'), /^DONE\n.*Generation: +1\n/s);

  // Again, the very same: success, with nothing done.
  const running = await target.validPaths();
  await copyFile(await release('one'), join(target.inbox, 'web.tar'));
  await agent.waitFor((l) => l.event === 'settled' && l.transaction !== settled.transaction);
  assert.match(
    await readFile(join(target.inbox, 'done/web.2.tar.txt'), 'utf8'),
    /^DONE\n\nWhat: +This bundle had been taken before/,
  );
  assert.equal(await target.profile(), 'system-1-link');
  assert.deepEqual(await target.validPaths(), running);

  // A newer one, in a folder of the inbox.
  await mkdir(join(target.inbox, 'from-scp'));
  await copyFile(
    await release('two', '--sequence', '5'),
    join(target.inbox, 'from-scp', 'second release.tar'),
  );
  await agent.waitFor((l) => l.event === 'committed' && l.sequence === 6);
  assert.equal(await target.profile(), 'system-2-link');
  await agent.stop();
  const status = JSON.parse((await target.verb('status', ['--json'])).stdout) as {
    generation: number;
    pending: boolean;
    floor: { sequence: number };
  };
  assert.deepEqual([status.generation, status.pending, status.floor.sequence], [2, false, 6]);
  const { runs } = JSON.parse((await target.verb('history', ['--json'])).stdout) as {
    runs: { state: string }[];
  };
  assert.deepEqual(
    runs.map((r) => r.state),
    ['committed', 'committed', 'committed'],
  );
  assert.match((await target.verb('history')).stdout, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +6 +committed /m);
});

test('a slow copy waits, however long it pauses, and is taken when its signed size is there', async () => {
  const target = await freshTarget({ settings: { inboxPatience: 600 } });
  const bytes = await readFile(await release('slow'));
  const path = join(target.inbox, 'web.tar');
  const agent = await target.startAgent();
  const cuts = [0, 100, 700, 3000, bytes.length - 700, bytes.length - 1, bytes.length];
  for (const [i, end] of cuts.entries()) {
    await appendFile(path, bytes.subarray(cuts[i - 1] ?? 0, end));
    if (end === bytes.length) break;
    // Longer than a bad file has to rest; the agent must have looked at it and said so.
    await agent.waitFor((l) => l.event === 'waiting' && l.source === path);
    await new Promise((resolve) => setTimeout(resolve, 600));
    assert.deepEqual(await readdir(target.inbox), ['web.tar']);
  }
  await agent.waitFor((l) => l.event === 'committed');
  assert.ok(!agent.log().some((l) => l.event === 'refused'));
  await agent.stop();
});

test('a copy that comes to rest incomplete is refused as truncated after the patience of the settings', async () => {
  const target = await freshTarget({ settings: { inboxPatience: 1 } });
  const bytes = await readFile(await release('slow'));
  const agent = await target.startAgent();
  await writeFile(join(target.inbox, 'web.tar'), bytes.subarray(0, 5000));
  const refused = await agent.waitFor((l) => l.event === 'refused');
  assert.equal(refused.code, 'bundle-truncated');
  await agent.stop();
});

test('agent --once takes what is there; an incomplete copy makes it end with 75 and stays', async () => {
  const target = await freshTarget();
  const bundle = await release('once');
  assert.equal((await target.verb('agent', ['--once'])).code, 0);
  await writeFile(join(target.inbox, 'partial.tar'), (await readFile(bundle)).subarray(0, 4000));
  await copyFile(bundle, join(target.inbox, 'web.tar'));
  const ran = await target.verb('agent', ['--once']);
  assert.equal(ran.code, 75, ran.stderr);
  assert.match(ran.stdout, /^DONE$/m);
  assert.ok((await readdir(target.inbox)).includes('partial.tar'));
});

test('hidden files, links and FIFOs in the inbox do no harm', async () => {
  const target = await freshTarget();
  const bundle = await release('litter');
  await writeFile(join(target.inbox, '._web.tar'), 'litter');
  await copyFile(bundle, join(target.inbox, '.web.tar.XyZ'));
  await symlink('/etc/passwd', join(target.inbox, 'link.tar'));
  await target.run(['mkfifo', join(target.inbox, 'fifo.tar')]);
  await writeFile(join(target.inbox, 'notes.txt'), 'hello');
  const ran = await target.verb('agent', ['--once', '--json']);
  assert.equal(ran.code, 65, ran.stderr);
  assert.deepEqual((await readdir(join(target.inbox, 'refused'))).filter((n) => !n.endsWith('.txt')).sort(), [
    'fifo.tar',
    'link.tar',
  ]);
  assert.deepEqual((await readdir(target.inbox)).sort(), [
    '._web.tar',
    '.web.tar.XyZ',
    'notes.txt',
    'refused',
  ]);
});

test('a link in the place of the inbox’s own folders leads nothing astray, and the agent goes on', async () => {
  const target = await freshTarget();
  const elsewhere = join(target.root, 'elsewhere');
  await mkdir(elsewhere);
  await symlink(elsewhere, join(target.inbox, 'refused'));
  await writeFile(join(target.inbox, 'evil.tar'), 'not a bundle'.repeat(200));
  const agent = await target.startAgent();
  await agent.waitFor((l) => l.event === 'settle-failed');
  await copyFile(await release('one'), join(target.inbox, 'web.tar'));
  await agent.waitFor((l) => l.event === 'committed');
  await agent.stop();
  assert.deepEqual(await readdir(elsewhere), []);
  const refusals = agent.log().filter((l) => l.event === 'refused');
  assert.equal(refusals.length, 1, 'what could not be moved away is not refused over and over');
});

test('switch takes a bundle from standard input, and refuses a bad one there too', async () => {
  const target = await freshTarget();
  const bundle = await readFile(await release('stdin'));
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
  const target = await freshTarget();
  await take(target, 'switch', await release('one'));
  const running = await target.currentSystem();
  const receipt = await take(target, 'boot', await release('two', '--sequence', '5'));
  assert.deepEqual([receipt.state, receipt.generation], ['pending', 2]);
  assert.equal(await target.currentSystem(), running);
  assert.match(await readFile(join(target.root, 'boot/loader/loader.conf'), 'utf8'), /nixos-generation-2/);
  const status = JSON.parse((await target.verb('status', ['--json'])).stdout) as { pending: boolean };
  assert.equal(status.pending, true);
});

test('test runs a system without installing it; dry-activate changes nothing; neither raises the floor', async () => {
  const target = await freshTarget();
  await take(target, 'switch', await release('one'));
  const running = await target.currentSystem();
  const two = await release('two', '--sequence', '5');
  const dry = await take(target, 'dry-activate', two);
  assert.equal(dry.state, 'committed');
  assert.equal(await target.currentSystem(), running);
  const tried = await take(target, 'test', two);
  assert.equal(tried.state, 'committed');
  assert.equal(await target.currentSystem(), tried.toplevel);
  assert.equal(await target.profile(), 'system-1-link');
  assert.equal((await take(target, 'switch', await release('one'))).state, 'committed');
  assert.equal(await target.currentSystem(), running);
});

test('the policy’s operation is what the agent does, and what it does not list is refused', async () => {
  const target = await freshTarget({ policy: { operation: 'boot', operations: ['boot'] } });
  const bundle = await release('one');
  const refused = await take(target, 'switch', bundle);
  assert.deepEqual([refused.code, refused.exit], ['operation-forbidden', 77]);
  await copyFile(bundle, join(target.inbox, 'web.tar'));
  assert.equal((await target.verb('agent', ['--once'])).code, 0);
  assert.equal(await target.profile(), 'system-1-link');
  assert.equal(await target.currentSystem(), undefined);
  assert.match(await readFile(join(target.inbox, 'done/web.tar.txt'), 'utf8'), /^INSTALLED, to be confirmed/);
});

test('what the sandboxed switch says reaches the receipt, and a failing one is rolled back', async () => {
  const target = await freshTarget();
  const one = await take(target, 'switch', await release('one'));
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
  assert.match(await readFile(join(target.root, 'boot/loader/loader.conf'), 'utf8'), /nixos-generation-1/);
  const again = await take(target, 'switch', bad);
  assert.deepEqual([again.code, again.exit], ['failed-before', 77]);
  assert.equal((await take(target, 'switch', await release('three', '--sequence', '8'))).state, 'committed');
});

for (const [exit, notice] of [[4, /some units failed/]] as const) {
  test(`exit ${exit} of switch-to-configuration is a success with a notice`, async () => {
    const target = await freshTarget();
    const bundle = await shop.bundle(`exit-${exit}`, {
      switchPrelude: `trap 'code=$?; [ "$code" = 0 ] && [ "$action" = switch ] && exit ${exit}; exit $code' EXIT`,
    });
    const receipt = await take(target, 'switch', bundle);
    assert.equal(receipt.state, 'committed');
    assert.match(receipt.notices?.join() ?? '', notice);
  });
}

for (const exit of [1, 2, 101]) {
  test(`exit ${exit} of switch-to-configuration is a failure, and the previous system comes back`, async () => {
    const target = await freshTarget();
    const one = await take(target, 'switch', await release('one'));
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
  const target = await freshTarget();
  const bundle = await release('one');
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

test('an operator goes back: to the generation before, or to one by number; the floor stays', async () => {
  const target = await freshTarget();
  const one = await take(target, 'switch', await release('one'));
  const two = await take(target, 'switch', await release('two', '--sequence', '5'));
  const back = await target.verb('rollback', ['--json']);
  assert.equal(back.code, 0, back.stderr);
  assert.equal(await target.currentSystem(), one.toplevel);
  assert.equal(await target.profile(), 'system-1-link');
  assert.match(await readFile(join(target.root, 'boot/loader/loader.conf'), 'utf8'), /nixos-generation-1/);
  const floor = JSON.parse((await target.verb('status', ['--json'])).stdout) as {
    floor: { sequence: number };
  };
  assert.equal(floor.floor.sequence, 6);
  assert.equal((await take(target, 'switch', await release('one'))).code, 'sequence-older');

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
  assert.match(none.stderr, /no-such-generation/);
  assert.match((await target.verb('history')).stdout, /committed .*generation 1$/m);
});

for (const bundle of ['stays', 'is gone'])
  test(`paths that a power cut in the middle of an import left valid and wrong are found and deleted; the bundle ${bundle}`, async () => {
    const target = await freshTarget();
    await copyFile(await release('cut-off'), join(target.inbox, 'web.tar'));
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
      /1 store paths had been damaged by a power cut; they were deleted, and come again/,
    );
    const after = await target.run(['nix-store', '--verify', '--check-contents']);
    assert.doesNotMatch(after.stderr, /modified|disappeared/);

    const healed = await target.validPaths();
    assert.equal(healed.includes(base), bundle === 'stays');

    // Once mended, the next import does not look again.
    const next = await target.verb('switch', [
      '--tarball',
      await release('after-cut', '--sequence', '9'),
      '--verbose',
    ]);
    assert.equal(next.code, 0);
    assert.doesNotMatch(next.stderr, /store-checked/);
  });

test('a failing boot loader leaves profile and running system as they were', async () => {
  const target = await freshTarget();
  const one = await take(target, 'switch', await release('one'));
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

test('what carries no NixOS system is refused before anything is changed', async () => {
  const target = await freshTarget();
  const bundle = await shop.bundle('no-system', {
    hosts: {
      web: '{ config.system.build.toplevel = derivation { name = "nixos-system-web-0"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; }; }',
    },
  });
  const receipt = await take(target, 'switch', bundle);
  assert.deepEqual([receipt.state, receipt.code], ['refused', 'not-a-system']);
  assert.equal(await target.profile(), undefined);
});

const recipes = (name: string) =>
  shop.bundle(name, {
    hosts: { web: plainHost('web', name) },
    args: ['--content', 'derivation'],
    keptFrom: 'nowhere',
  });

test('content derivation: never-build refuses and names what is missing', async () => {
  const target = await freshTarget();
  const receipt = await take(target, 'switch', await recipes('recipes'));
  assert.deepEqual([receipt.code, receipt.exit], ['missing-input', 77]);
  assert.match(receipt.detail ?? '', /\/nix\/store\/\S+\.drv and \d+ more \(policy: realise never-build\)/);
  assert.equal(await target.profile(), undefined);
});

test('content derivation: substitute refuses what no cache has, and takes what one has', async () => {
  const cache = join(shop.folder, 'cache');
  const bundle = await recipes('substituted');
  const target = await freshTarget({
    policy: { realise: 'substitute' },
    nixConf: `substituters = file://${cache}\nnarinfo-cache-negative-ttl = 0`,
  });
  assert.equal((await take(target, 'switch', bundle)).code, 'missing-input');
  const [derivation] = (await readFile(join(dirname(bundle), 'meta'), 'utf8')).split('\n');
  const filled = await shop.builder.run([
    'sh',
    '-euc',
    `path=$(nix build --no-link --print-out-paths '${derivation}^out'); nix copy --to 'file://${cache}?secret-key=${shop.keys.secretFile}' "$path"`,
  ]);
  assert.equal(filled.code, 0, filled.stderr);
  const receipt = await take(target, 'switch', bundle);
  assert.equal(receipt.state, 'committed', receipt.detail);
});

test('content derivation: build builds on the target', async () => {
  const target = await freshTarget({ policy: { realise: 'build' } });
  const receipt = await take(target, 'switch', await recipes('built-here'));
  assert.equal(receipt.state, 'committed', receipt.detail);
  assert.equal(await target.currentSystem(), receipt.toplevel);
});

test('a signed classic pair is taken from the inbox; an unsigned one only by hand and with --allow-unsigned', async () => {
  const target = await freshTarget({ policy: { realise: 'build' } });
  const signed = await shop.bundle('classic', {
    hosts: { web: plainHost('web', 'classic') },
    args: ['--format', 'classic'],
  });
  await mkdir(join(target.inbox, 'web'));
  for (const name of await readdir(dirname(signed)))
    await copyFile(join(dirname(signed), name), join(target.inbox, 'web', name));
  const ran = await target.verb('agent', ['--once']);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  assert.deepEqual((await readdir(join(target.inbox, 'done/web'))).sort(), [
    'manifest.json',
    'manifest.sig',
    'meta',
    'web.tar.gz',
  ]);

  const unsigned = await shop.bundle('unsigned-classic', {
    hosts: { web: plainHost('web', 'unsigned') },
    args: ['--format', 'classic', '--unsigned'],
  });
  assert.equal((await take(target, 'switch', unsigned)).code, 'signature-missing');
  const running = await target.currentSystem();
  const allowed = await take(target, 'switch', unsigned, '--allow-unsigned');
  assert.equal(allowed.state, 'committed', allowed.detail);
  assert.match(allowed.notices?.join() ?? '', /not signed/);
  assert.notEqual(await target.currentSystem(), running);

  await rm(join(dirname(unsigned), 'manifest.json'));
  await rm(join(dirname(unsigned), 'manifest.sig'));
  assert.equal((await take(target, 'switch', unsigned)).code, 'signature-missing');
});

test('a classic tarball altered after signing is refused', async () => {
  const target = await freshTarget({ policy: { realise: 'build' } });
  const signed = await shop.bundle('classic-altered', { args: ['--format', 'classic'] });
  const file = await open(signed, 'r+');
  await file.write(Buffer.from([0xff]), 0, 1, 200);
  await file.close();
  assert.equal((await take(target, 'switch', signed)).code, 'bundle-altered');
  assert.deepEqual(await target.validPaths(), []);
});

test('a classic pair that carries the closure needs no build on the target', async () => {
  const target = await freshTarget();
  const signed = await shop.bundle('classic-closure', {
    args: ['--format', 'classic', '--content', 'closure'],
  });
  const receipt = await take(target, 'switch', signed);
  assert.equal(receipt.state, 'committed', receipt.detail);
});

test('Nix itself has the last word: a key it does not trust is told apart', async () => {
  const target = await freshTarget({ nixKeys: ['other-1:CztQ/shckn2hG4Q/Sz8PW53kf2wW1g3RlZX1ZBiVAlc='] });
  const receipt = await take(target, 'switch', await release('one'));
  assert.deepEqual([receipt.state, receipt.code, receipt.exit], ['failed', 'nix-key-untrusted', 78]);
  assert.equal(await target.profile(), undefined);
});

test('with the daemon down a bundle waits, and is taken once it is back', async () => {
  const target = await freshTarget();
  await target.stopDaemon();
  await copyFile(await release('one'), join(target.inbox, 'web.tar'));
  assert.equal((await target.verb('agent', ['--once'])).code, 69);
  assert.deepEqual(await readdir(target.inbox), ['web.tar']);
  const agent = await target.startAgent();
  await agent.waitFor((l) => l.event === 'deferred' && l.code === 'nix-unavailable');
  await target.startDaemon();
  await agent.waitFor((l) => l.event === 'committed');
  await agent.stop();
});

test('a bundle that has to wait is tried with growing pauses, and does not hold up the next one', async () => {
  const target = await freshTarget();
  const agent = await target.startAgent();
  await target.stopDaemon();
  await copyFile(await release('one'), join(target.inbox, 'a.tar'));
  await agent.waitFor((l) => l.event === 'deferred');
  // Other events in the inbox are no reason to try it again.
  for (let n = 0; n < 10; n++) {
    await writeFile(join(target.inbox, 'notes.txt'), `${n}`);
    // Apart, so that each is an event of its own to the agent.
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  await writeFile(join(target.inbox, 'bad.tar'), 'not a bundle'.repeat(200));
  await agent.waitFor((l) => l.event === 'refused' && l.code === 'not-a-bundle');
  const tries = agent.log().filter((l) => l.event === 'deferred').length;
  // Pauses of 2, 4 and 8 seconds; a try for every event would be ten.
  assert.ok(tries <= 4, `${tries} tries`);
  await target.startDaemon();
  await agent.waitFor((l) => l.event === 'committed');
  await agent.stop();
});

test('agent and command line at once: one of them waits', async () => {
  const target = await freshTarget();
  const slow = await shop.bundle('slow-switch', {
    hosts: { web: plainHost('web', 'slow-switch') },
    switchPrelude: 'while [ "${1:-}" != check ] && [ ! -e /run/go ]; do sleep 0.05; done',
  });
  const agent = await target.startAgent();
  await copyFile(slow, join(target.inbox, 'web.tar'));
  await agent.waitFor((l) => l.event === 'boot-entry');
  const ran = await target.verb('switch', ['--tarball', await release('two', '--sequence', '5')]);
  assert.equal(ran.code, 75, ran.stderr);
  assert.match(ran.stderr, /\(busy\)/);
  await writeFile(join(target.root, 'run/go'), '');
  await agent.waitFor((l) => l.event === 'committed');
  await agent.stop();
});

test('an agent told to stop finishes what it has begun, then stops', async () => {
  const target = await freshTarget();
  const bundle = await shop.bundle('stopping', {
    switchPrelude: 'while [ "${1:-}" != check ] && [ ! -e /run/go ]; do sleep 0.05; done',
  });
  const agent = await target.startAgent();
  await copyFile(bundle, join(target.inbox, 'web.tar'));
  await agent.waitFor((l) => l.event === 'boot-entry');
  const stopping = agent.stop();
  await writeFile(join(target.root, 'run/go'), '');
  await stopping;
  const events = agent.log().map((l) => l.event);
  assert.deepEqual(events.slice(-3), ['committed', 'settled', 'agent-stopped']);
});

test('an agent killed midway does it over when it starts again', async () => {
  const target = await freshTarget();
  const bundle = await shop.bundle('killed', {
    switchPrelude: 'while [ "${1:-}" != check ] && [ ! -e /run/go ]; do sleep 0.05; done',
  });
  const first = await target.startAgent();
  await copyFile(bundle, join(target.inbox, 'web.tar'));
  await first.waitFor((l) => l.event === 'boot-entry');
  first.child.kill('SIGKILL');
  await writeFile(join(target.root, 'run/go'), '');
  const second = await target.startAgent();
  await second.waitFor((l) => l.event === 'committed');
  assert.equal(await target.profile(), 'system-1-link');
  await second.stop();
});

test('a bundle renamed into place whole, while others come and go, is taken at once', async () => {
  const target = await freshTarget();
  const agent = await target.startAgent();
  const bundle = await release('renamed');
  await copyFile(bundle, join(target.inbox, '.incoming'));
  await rename(join(target.inbox, '.incoming'), join(target.inbox, basename(bundle)));
  await agent.waitFor((l) => l.event === 'committed');
  await agent.stop();
});

test('an agent without privileges imports through the daemon, which checks every signature itself', async () => {
  // Nix trusts root here, so that it is the agent's user that counts.
  const target = await freshTarget({ nixConf: 'trusted-users = root' });
  const own = ['inbox', 'state', 'runtime', 'tmp'].map((name) => join(target.root, name));
  for (const folder of [...own, join(target.root, 'profiles')]) await mkdir(folder, { recursive: true });
  const settings = JSON.parse(await readFile(target.settingsFile, 'utf8')) as Record<string, unknown>;
  await writeFile(
    target.settingsFile,
    JSON.stringify({ ...settings, profile: join(target.root, 'profiles', 'system') }),
  );
  await copyFile(await release('unprivileged'), join(target.inbox, 'web.tar'));
  // uid 65534, and nothing but leave to read what lies below folders that are closed to it (the checkout may).
  const asNobody = [
    'setpriv',
    '--reuid',
    '65534',
    '--regid',
    '65534',
    '--clear-groups',
    '--inh-caps',
    '-all,+dac_read_search',
    '--ambient-caps',
    '-all,+dac_read_search',
    '--bounding-set',
    '-all,+dac_read_search',
  ];
  await target.run(['chown', '--recursive', '65534:65534', ...own, join(target.root, 'profiles')]);
  await target.run(['chmod', '0777', join(target.root, 'run'), join(target.root, 'boot')]);
  const info = await target.run([...asNobody, 'nix', 'store', 'info', '--store', 'daemon', '--json']);
  assert.match(info.stdout, /"trusted":false/, info.stderr);
  const ran = await target.run([
    ...asNobody,
    process.execPath,
    main,
    'agent',
    '--once',
    '--settings',
    target.settingsFile,
  ]);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  assert.match((await target.currentSystem()) ?? '', /nixos-system-web/);
});

test('the store is flushed before an import is recorded', async () => {
  const target = await freshTarget();
  // The real sync, with a note of what the journal said when it was called.
  const tools = join(target.root, 'tools');
  await mkdir(tools);
  const note = join(target.root, 'synced');
  const script = `#!/bin/sh\nprintf '%s ' "$@" >>${note}; grep -c '"state":"imported"' ${target.stateDirectory}/journal >>${note} || true\nexec /bin/sync "$@"\n`;
  await writeFile(join(tools, 'sync'), script, { mode: 0o755 });
  const ran = await target.verb('switch', ['--tarball', await release('one')], {
    env: { PATH: `${tools}:${process.env.PATH}` },
  });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(await readFile(note, 'utf8'), /^--file-system \/nix\/store 0\n/);
});

test('standard input that is a file works as well', async () => {
  const target = await freshTarget();
  const bundle = await release('file-stdin');
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
