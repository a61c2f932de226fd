/** What is dropped into the inbox, and how the agent takes it. */
import assert from 'node:assert/strict';
import {
  appendFile,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { defaultSystem } from '../machines/boot-menu.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { Targets } from '../support/targets.ts';

const targets = new Targets(await makeWorkshop());

test('dropped into the inbox, a bundle becomes the running system, with a boot entry and a report', async () => {
  const target = await targets.fresh();
  const agent = await target.startAgent();
  await copyFile(await targets.release('one'), join(target.inbox, 'web.tar'));
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
  assert.equal(await defaultSystem(target.root), await target.currentSystem());
  assert.deepEqual((await readdir(join(target.inbox, 'done'))).sort(), ['web.tar', 'web.tar.txt']);
  assert.match(await readFile(join(target.inbox, 'done/web.tar.txt'), 'utf8'), /^DONE\n.*Generation: +1\n/s);

  // Again, the very same: success, with nothing done.
  const running = await target.validPaths();
  await copyFile(await targets.release('one'), join(target.inbox, 'web.tar'));
  await agent.waitFor((l) => l.event === 'settled' && l.transaction !== settled.transaction);
  assert.match(
    await readFile(join(target.inbox, 'done/web.2.tar.txt'), 'utf8'),
    /^DONE\n\nWhat: +This bundle was already taken/,
  );
  assert.equal(await target.profile(), 'system-1-link');
  assert.deepEqual(await target.validPaths(), running);

  // A newer one, in a folder of the inbox.
  await mkdir(join(target.inbox, 'from-scp'));
  await copyFile(
    await targets.release('two', '--sequence', '5'),
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
  assert.match((await target.verb('history')).stdout, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S+ +6 +done /m);
});

test('a slow copy waits, however long it pauses, and is taken when its signed size is there', async () => {
  const target = await targets.fresh({ settings: { inboxPatience: 600 } });
  const bytes = await readFile(await targets.release('slow'));
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

test('a copy that has its full size before its contents is left to whoever writes it, and taken when they are there', async () => {
  const target = await targets.fresh({ settings: { inboxPatience: 600 } });
  const bytes = await readFile(await targets.release('slow'));
  const path = join(target.inbox, 'web.tar');
  const agent = await target.startAgent();
  const file = await open(path, 'w');
  await file.truncate(bytes.length);
  const cuts = [0, 512, 2000, 9000, bytes.length - 4000, bytes.length];
  for (const [i, end] of cuts.entries()) {
    const start = cuts[i - 1] ?? 0;
    await file.write(bytes, start, end - start, start);
    if (end === bytes.length) break;
    // Longer than a bad file has to rest.
    await agent.waitFor(
      (l) => l.source === path && ['waiting', 'deferred', 'refused'].includes(String(l.event)),
    );
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.deepEqual(await readdir(target.inbox), ['web.tar'], `after ${end} bytes`);
  }
  await file.close();
  await agent.waitFor((l) => l.event === 'committed');
  assert.ok(!agent.log().some((l) => l.event === 'refused'));
  await agent.stop();
});

test('one that has its full size at once and at rest never its contents is refused after the patience of the settings', async () => {
  const target = await targets.fresh({ settings: { inboxPatience: 2 } });
  const bytes = await readFile(await targets.release('slow'));
  bytes.fill(0, bytes.length - 3000, bytes.length - 1500);
  await writeFile(join(target.inbox, 'web.tar'), bytes);
  const once = await target.verb('agent', ['--once', '--json']);
  assert.equal(once.code, 75, once.stdout);
  assert.match(once.stdout, /"code": "unsettled"/);
  const agent = await target.startAgent();
  const refused = await agent.waitFor((l) => l.event === 'refused');
  assert.equal(refused.code, 'bundle-altered');
  await agent.stop();
});

test('a copy that comes to rest incomplete is refused as truncated after the patience of the settings', async () => {
  const target = await targets.fresh({ settings: { inboxPatience: 1 } });
  const bytes = await readFile(await targets.release('slow'));
  const agent = await target.startAgent();
  await writeFile(join(target.inbox, 'web.tar'), bytes.subarray(0, 5000));
  const refused = await agent.waitFor((l) => l.event === 'refused');
  assert.equal(refused.code, 'bundle-truncated');
  await agent.stop();
});

test('agent --once takes what is there; an incomplete copy makes it end with 75 and stays', async () => {
  const target = await targets.fresh();
  const bundle = await targets.release('once');
  assert.equal((await target.verb('agent', ['--once'])).code, 0);
  await writeFile(join(target.inbox, 'partial.tar'), (await readFile(bundle)).subarray(0, 4000));
  await copyFile(bundle, join(target.inbox, 'web.tar'));
  const ran = await target.verb('agent', ['--once']);
  assert.equal(ran.code, 75, ran.stderr);
  assert.match(ran.stdout, /^DONE$/m);
  const said = ran.stderr.split('\n').find((line) => line.includes('"waiting"'));
  const waiting = JSON.parse(said ?? '{}') as Record<string, string>;
  assert.deepEqual([waiting.code, waiting.source], ['incomplete', join(target.inbox, 'partial.tar')]);
  assert.match(waiting.detail ?? '', /^3\.91 KiB (?:of [\d.]+ KiB )?are here$/);
  assert.ok((await readdir(target.inbox)).includes('partial.tar'));
});

test('hidden files, links and FIFOs in the inbox do no harm', async () => {
  const target = await targets.fresh();
  const bundle = await targets.release('litter');
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
  const target = await targets.fresh();
  const elsewhere = join(target.root, 'elsewhere');
  await mkdir(elsewhere);
  await symlink(elsewhere, join(target.inbox, 'refused'));
  await writeFile(join(target.inbox, 'evil.tar'), 'not a bundle'.repeat(200));
  const agent = await target.startAgent();
  await agent.waitFor((l) => l.event === 'settle-failed');
  await copyFile(await targets.release('one'), join(target.inbox, 'web.tar'));
  await agent.waitFor((l) => l.event === 'committed');
  await agent.stop();
  assert.deepEqual(await readdir(elsewhere), []);
  const refusals = agent.log().filter((l) => l.event === 'refused');
  assert.equal(refusals.length, 1, 'what could not be moved away is not refused over and over');
});

test('a bundle renamed into place whole, while others come and go, is taken at once', async () => {
  const target = await targets.fresh();
  const agent = await target.startAgent();
  const bundle = await targets.release('renamed');
  await copyFile(bundle, join(target.inbox, '.incoming'));
  await rename(join(target.inbox, '.incoming'), join(target.inbox, basename(bundle)));
  await agent.waitFor((l) => l.event === 'committed');
  await agent.stop();
});

test('with the daemon down a bundle waits, and is taken once it is back', async () => {
  const target = await targets.fresh();
  await target.stopDaemon();
  await copyFile(await targets.release('one'), join(target.inbox, 'web.tar'));
  assert.equal((await target.verb('agent', ['--once'])).code, 69);
  assert.deepEqual(await readdir(target.inbox), ['web.tar']);
  const agent = await target.startAgent();
  await agent.waitFor((l) => l.event === 'deferred' && l.code === 'nix-unavailable');
  await target.startDaemon();
  await agent.waitFor((l) => l.event === 'committed');
  await agent.stop();
});

test('a bundle that has to wait is tried with growing pauses, and does not hold up the next one', async () => {
  const target = await targets.fresh();
  const agent = await target.startAgent();
  await target.stopDaemon();
  await copyFile(await targets.release('one'), join(target.inbox, 'a.tar'));
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
