/**
 * A release whose time has not come is staged: brought into the store, held there, and installed from there later, after its medium has
 * left; decided on again, and dropped if it would no longer be taken.
 */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readJournal } from '../../src/state/journal.ts';
import type { Target } from '../machines/sandboxed-target.ts';
import { makeKeys, makeWorkshop } from '../support/fleet.ts';
import { released } from '../support/released.ts';
import { Targets, take } from '../support/targets.ts';

const shop = await makeWorkshop();
const targets = new Targets(shop);
const other = await makeKeys(join(shop.folder, 'other'), 'other-1');
const [two, three] = await Promise.all([
  targets.release('staged-2', '--sequence', '10'),
  targets.release('staged-3', '--sequence', '20'),
]);

const time = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16);
const shut = { from: time(2), to: time(4) };

/** The policy’s own keys, but for these. */
async function change(target: Target, policy: Record<string, unknown>): Promise<void> {
  const now = JSON.parse(await readFile(target.policyFile, 'utf8')) as Record<string, unknown>;
  await writeFile(target.policyFile, JSON.stringify({ ...now, ...policy }));
}

const open = (target: Target) => change(target, { window: undefined });

/** A machine that runs release `one`, whose window is shut. */
const waiting = async (policy: Record<string, unknown> = { window: shut }) =>
  (await targets.running({ policy })).target;

async function once(target: Target, bundle?: string) {
  if (bundle !== undefined) await copyFile(bundle, join(target.inbox, 'web.tar'));
  return target.verb('agent', ['--once']);
}

async function staged(target: Target) {
  const ran = await target.verb('status', ['--json']);
  return (JSON.parse(ran.stdout) as { staged?: { sequence: number; code: string; detail: string } }).staged;
}

async function lastRun(target: Target, sequence: number) {
  const { records } = await readJournal(target.stateDirectory);
  const { state, code, detail } = records.findLast((r) => r.sequence === sequence) ?? {};
  return { state, code, detail };
}

const runs = async (target: Target) =>
  (await target.run(['cat', '/run/current-system/etc/motd'])).stdout.trim();
const list = (folder: string) => readdir(folder).catch(() => []);

/** Nothing of it is held or kept any more. */
async function assertDropped(target: Target): Promise<void> {
  assert.deepEqual(await list(join(target.stateDirectory, 'staged')), []);
  assert.deepEqual(await list(join(target.stateDirectory, 'roots')), []);
  assert.equal(await staged(target), undefined);
}

test('outside of its window a release is staged; the bundle may go, and garbage is collected around it', async () => {
  const target = await waiting();
  const ran = await once(target, two);
  assert.equal(ran.code, 0, ran.stderr);
  assert.deepEqual((await readdir(target.inbox)).sort(), ['done']);
  const report = await readFile(join(target.inbox, 'done/web.tar.txt'), 'utf8');
  assert.match(report, /^STAGED, in the store, and installed from there when its time comes/);
  assert.match(report, /^Code: +outside-window$/m);
  await rm(join(target.inbox, 'done'), { recursive: true });
  assert.equal(await runs(target), 'one');

  const text = await target.verb('status');
  assert.match(text.stdout, /^Staged: +release 11, since .*: outside-window \(the window\s+opens at \S+\)$/m);
  assert.match((await target.verb('doctor')).stdout, /staged +release 11, since/);
  const collected = await target.run(['nix-collect-garbage']);
  assert.equal(collected.code, 0, collected.stderr);
  assert.equal((await once(target)).code, 0);
  assert.equal(await runs(target), 'one', 'it waits on');

  await open(target);
  assert.equal((await once(target)).code, 0);
  assert.equal(await runs(target), 'staged-2');
  assert.deepEqual(await lastRun(target, 11), {
    ...{ state: 'committed', code: undefined, detail: 'The new system is installed and running.' },
  });
  await assertDropped(target);
  const { records } = await readJournal(target.stateDirectory);
  const own = records.filter((r) => r.sequence === 11);
  assert.equal(new Set(own.map((r) => r.transaction)).size, 1, 'it is one run');
  assert.equal(own.filter((r) => r.state === 'staged').length, 1, 'waiting does not fill the journal');
});

test('what was staged from a carrier’s folder is done with there, and the receipt tells the desk what waits', async () => {
  const carried = join(shop.folder, 'carried');
  await mkdir(carried);
  const target = await waiting({ window: shut, media: { folders: [carried] } });
  await copyFile(two, join(carried, 'web.tar'));
  const ran = await target.verb('agent', ['--once']);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(
    ran.stdout + ran.stderr,
    /Sequence 11 is staged: it is installed when the window opens\./,
    'a person is told',
  );
  await rm(join(carried, 'web.tar'));
  const fleet = join(shop.folder, 'fleet');
  const collected = await shop.builder.nixmaker(['collect', carried, '-d', fleet, '--enrol']);
  assert.equal(collected.code, 0, collected.stderr);
  const shown = await shop.builder.nixmaker(['fleet', '-d', fleet, '--json']);
  const [host] = (JSON.parse(shown.stdout) as { hosts: Record<string, unknown>[] }).hosts;
  assert.equal((host?.staged as { sequence: number } | undefined)?.sequence, 11, shown.stdout);
  assert.match(
    String(host?.reasons),
    /Release 11 is staged there since .*: outside-window: the window opens/,
  );
  await open(target);
  assert.equal((await once(target)).code, 0);
  assert.equal(await runs(target), 'staged-2');
});

test('one that nobody approves is staged, asked about again, and installed by the agent at work once somebody does', async () => {
  const [yes, asked] = [join(shop.folder, 'yes'), join(shop.folder, 'asked')];
  const script = `echo "$NIXMAKER_SEQUENCE" >>${asked}; test -e ${yes} || { echo "the lathe is running" >&2; exit 3; }`;
  const target = await waiting({ approval: { command: ['sh', '-euc', script] } });
  const agent = await target.startAgent();
  await copyFile(two, join(target.inbox, 'web.tar'));
  const line = await agent.waitFor(({ event }) => event === 'staged');
  assert.equal(line.code, 'not-approved');
  assert.match(String(line.detail), /refused \(exit 3\): the lathe is running/);
  await agent.waitFor(({ event, state }) => event === 'resuming' && state === 'staged');
  await rm(join(target.inbox, 'done'), { recursive: true, force: true });
  await writeFile(yes, '');
  await agent.waitFor(({ event }) => event === 'staged-done');
  assert.equal(await runs(target), 'staged-2');
  await agent.stop();
  await assertDropped(target);
  assert.ok((await readFile(asked, 'utf8')).split('\n').length > 2, 'asked once more');
});

test('a newer one takes its place, and an older one does not', async () => {
  const target = await waiting();
  await once(target, two);
  await once(target, three);
  assert.deepEqual((await lastRun(target, 11)).state, 'superseded');
  assert.equal((await staged(target))?.sequence, 21);
  assert.equal((await list(join(target.stateDirectory, 'staged'))).length, 1);
  assert.equal((await list(join(target.stateDirectory, 'roots'))).length, 2);
  assert.equal((await once(target, two)).code, 77);
  const { code, detail } = await lastRun(target, 11);
  assert.equal(code, 'sequence-older');
  assert.match(detail ?? '', /it has sequence 11, but 21 is already staged/);
  assert.equal((await once(target, three)).code, 0, 'the same again is nothing new');
  await open(target);
  assert.equal((await once(target)).code, 0);
  assert.equal(await runs(target), 'staged-3');
  await assertDropped(target);
});

test('installed by hand, or overtaken by hand, it is over at once', async () => {
  const target = await waiting();
  await once(target, two);
  assert.equal((await take(target, 'switch', two)).state, 'committed');
  await assertDropped(target);
  await once(target, three);
  assert.equal((await take(target, 'switch', three)).state, 'committed');
  await assertDropped(target);
});

/** Once its window opens, it is decided on by the facts of then. */
for (const [what, spoil, state, code, detail] of [
  [
    'by a key that is no longer trusted',
    (target: Target) => change(target, { trustedKeys: [other.publicKey] }),
    'refused',
    'signature-unknown-key',
    /trusted here: “other-1”/,
  ],
  [
    'that a person holds',
    (target: Target) => target.verb('hold', ['11', '--because', 'it flickers']),
    'refused',
    'release-held',
    /release 11 has been held since .* \(it flickers\)/,
  ],
  [
    'whose paths were lost',
    async (target: Target) => {
      for (const name of await readdir(join(target.stateDirectory, 'roots')))
        await rm(join(target.stateDirectory, 'roots', name));
      await target.run(['nix-collect-garbage']);
    },
    'failed',
    'staged-lost',
    /is not in the store/,
  ],
  [
    'whose paths have lost their files',
    async (target: Target) => {
      const { paths } = await released(two);
      const own = paths.find(({ path }) => path.endsWith('-etc-web'))?.path ?? '';
      await rm(join(target.root, own), { recursive: true });
    },
    'failed',
    'staged-lost',
    /valid for Nix, but not whole: .*-etc-web \(its files are gone\)/,
  ],
  [
    'whose index is damaged',
    async (target: Target) => {
      const [digest = ''] = await readdir(join(target.stateDirectory, 'staged'));
      await writeFile(join(target.stateDirectory, 'staged', digest, 'index'), 'x');
    },
    'failed',
    'staged-lost',
    /the index does not match/,
  ],
] as const)
  test(`one ${what} is dropped when its time comes`, async () => {
    const target = await waiting();
    await once(target, two);
    assert.equal((await staged(target))?.sequence, 11);
    await spoil(target);
    await open(target);
    await once(target);
    const end = await lastRun(target, 11);
    assert.deepEqual([end.state, end.code], [state, code]);
    assert.match(end.detail ?? '', detail);
    assert.equal(await runs(target), 'one');
    await assertDropped(target);
  });

test('where the policy does not have it, a bundle waits where it is', async () => {
  const target = await waiting({ window: shut, stage: { allow: false } });
  const ran = await once(target, two);
  assert.equal(ran.code, 75);
  assert.match(ran.stdout + ran.stderr, /outside-window/);
  assert.deepEqual(await readdir(target.inbox), ['web.tar']);
  await assertDropped(target);
});
