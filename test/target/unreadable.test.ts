/** One folder or file that gives no answer: its neighbours are taken, it is named once, and whoever asks is told. */
import assert from 'node:assert/strict';
import { chmod, chown, copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import type { Diagnosis } from '../../src/target/inspect/found.ts';
import type { Status } from '../../src/target/inspect/status.ts';
import { main } from '../machines/compiled.ts';
import type { Target } from '../machines/sandboxed-target.ts';
import { killMount, unmount } from '../support/dead-mount.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { Targets } from '../support/targets.ts';

const targets = new Targets(await makeWorkshop());

const json = async <T>(target: Target, ...args: string[]): Promise<T> =>
  JSON.parse((await target.nixmaker([...args, '--json'])).stdout) as T;
const statusOf = (target: Target) => json<Status>(target, 'status', '--settings', target.settingsFile);
const finding = async (target: Target, check: string) => {
  const ran = await target.verb('doctor', ['--json']);
  return (JSON.parse(ran.stdout) as { checks: Diagnosis[] }).checks.find((d) => d.check === check);
};

test('dead mounts in the inbox and at carriers’ keep nothing else waiting, are named once, and shown', async () => {
  const { folder: scene } = targets.shop;
  const [dead, half] = [join(scene, 'dead'), join(scene, 'half')];
  const target = await targets.fresh({ policy: { media: { folders: [dead, half] } } });
  const { inbox } = target;
  const folders = [
    ...[dead, join(inbox, 'a'), join(half, 'a')],
    ...[join(half, 'nixmaker/hosts/web'), join(half, 'nixmaker/keyrings')],
  ];
  const files = [join(inbox, 'b.tar'), join(inbox, '2.keyring'), join(half, 'b.tar')];
  for (const path of folders) await mkdir(path, { recursive: true });
  for (const path of files) await writeFile(path, '');
  for (const path of folders) await killMount(target, path, 'folder');
  for (const path of files) await killMount(target, path, 'file');

  const agent = await target.startAgent();
  const bring = async (name: string, after: number, folder: string) => {
    const before = new Set(agent.log().map((l) => l.transaction));
    await copyFile(await targets.release(name, '--sequence', String(after)), join(folder, 'web.tar'));
    await agent.waitFor((l) => l.event === 'committed' && !before.has(l.transaction));
  };
  await bring('one', 10, inbox);
  await bring('two', 20, half);
  await bring('three', 30, inbox);

  const all = [...folders, ...files].sort();
  const told = agent.log().filter((l) => l.event === 'unreadable' || l.event === 'medium-unreadable');
  assert.deepEqual(told.map((l) => l.source).sort(), all, 'each once');
  // Of Node.js: a handle that nobody has closed.
  assert.deepEqual(
    agent.log().filter((l) => l.event === 'fault' || l.event === 'raw'),
    [],
  );
  const waits = agent.log().filter((l) => l.event === 'receipts-wait');
  assert.deepEqual([...new Set(waits.map((l) => `${l.place} ${l.code}`))], [`${dead} medium-failing`]);

  const { waits: known } = await statusOf(target);
  assert.deepEqual(known.map(({ path }) => path).sort(), all);
  assert.ok(
    known.every(
      ({ code, detail }) =>
        /io-error|medium-unreadable/.test(code) && detail?.match(/^(cannot open the file: )?ENOTCONN/),
    ),
  );
  const waiting = await finding(target, 'waiting');
  assert.equal(waiting?.verdict, 'look');
  assert.match(waiting?.what ?? '', /a: io-error \(ENOTCONN: .*; and 3 more$/s);
  assert.match(
    (await finding(target, 'carriers'))?.what ?? '',
    new RegExp(`^${dead}: ENOTCONN.*nothing is taken`),
  );

  // What any machine sees of it, and what this one would do.
  const rows = await json<{ bundles: { file: string; problem?: string }[] }>(target, 'inspect', half);
  const shown = (row: { file: string; problem?: string }) => `${row.file} ${row.problem ?? 'good'}`;
  assert.deepEqual(rows.bundles.map(shown).sort(), [
    'a io-error',
    'b.tar io-error',
    'nixmaker/hosts/web io-error',
    'web.tar good',
  ]);
  const own = ['--policy', target.policyFile, '--settings', target.settingsFile];
  const verdicts = await json<{ bundles: { file: string; judgement: { code?: string } }[] }>(
    target,
    ...['inspect', half, ...own],
  );
  assert.deepEqual(verdicts.bundles.map((v) => `${v.file} ${v.judgement.code}`).sort(), [
    'a medium-unreadable',
    'b.tar medium-unreadable',
    'nixmaker/hosts/web medium-unreadable',
    'web.tar sequence-older',
  ]);

  // All of it answers again: there is nothing left to tell.
  for (const path of [...folders, ...files]) await unmount(target, path);
  await bring('four', 40, inbox);
  await agent.stop();
  await target.verb('agent', ['--once']);
  const left = (await statusOf(target)).waits.map(({ path, code }) => `${relative(scene, path)} ${code}`);
  assert.deepEqual(left, [`${relative(scene, inbox)}/b.tar incomplete`, 'half/b.tar incomplete']);
});

test('an inbox that gives no answer keeps no carrier’s folder waiting, and doctor says what is wrong with it', async () => {
  const carried = join(targets.shop.folder, 'carried');
  const target = await targets.fresh({ policy: { media: { folders: [carried] } } });
  await mkdir(carried);
  await copyFile(await targets.release('one'), join(carried, 'web.tar'));
  await killMount(target, target.inbox, 'folder');
  const agent = await target.startAgent();
  await agent.waitFor((l) => l.event === 'committed');
  await agent.stop();
  assert.deepEqual(
    (await statusOf(target)).waits.map(({ path, code }) => `${path} ${code}`),
    [`${target.inbox} io-error`],
  );
  const found = await finding(target, 'inbox');
  assert.equal(found?.verdict, 'bad');
  assert.match(found?.what ?? '', /cannot read .*: ENOTCONN/);

  // As root finds the folder of a server that takes root for nobody: to be read, and no more.
  assert.equal((await finding(target, 'carriers'))?.verdict, 'ok');
  await target.run(['mount', '--bind', carried, carried]);
  await target.run(['mount', '-o', 'remount,bind,ro', carried]);
  const squashed = await finding(target, 'carriers');
  assert.match(
    squashed?.what ?? '',
    /root cannot write to it \(.*read-only\), so receipts cannot travel home/,
  );
  assert.match(squashed?.next ?? '', /root_squash/);
});

test('what only others may enter is told of as well, by its folder', async () => {
  const target = await targets.fresh();
  const [closed, shut] = [join(target.inbox, 'closed'), join(target.inbox, 'shut')];
  for (const folder of [closed, shut]) await mkdir(folder);
  for (const name of ['a.tar', 'b.tar']) await writeFile(join(closed, name), 'x');
  await chmod(closed, 0o744);
  await chmod(shut, 0o700);
  // Nobody’s but theirs; and we without root’s right to go anywhere.
  for (const path of [closed, shut]) await chown(path, 4711, 4711);
  await copyFile(await targets.release('one'), join(target.inbox, 'web.tar'));
  const lacking = '-dac_override,-dac_read_search';
  const ran = await target.run([
    ...['setpriv', `--bounding-set=${lacking}`, `--inh-caps=${lacking}`],
    ...[process.execPath, main, 'agent', '--once', '--settings', target.settingsFile],
  ]);
  assert.match(ran.stderr, /"committed"/);
  assert.deepEqual((await statusOf(target)).waits.map(({ path, code }) => [path, code]).sort(), [
    [closed, 'no-access'],
    [shut, 'no-access'],
  ]);
  assert.deepEqual((await readdir(target.inbox)).sort(), ['closed', 'done', 'shut']);
});
