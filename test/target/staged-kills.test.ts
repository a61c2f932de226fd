/**
 * SIGKILL before and after each transition of a run that is staged and installed later, in the same boot and with a restart in between.
 * Whatever happens: a release that was staged is not lost, is installed once, and leaves no roots or files behind.
 */
import assert from 'node:assert/strict';
import { copyFile, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { isAtRest, mayFollow, type State } from '../../src/core/run/lifecycle.ts';
import { lastOfEach, readJournal } from '../../src/state/journal.ts';
import { offeredSystems } from '../machines/boot-menu.ts';
import { killedRun } from '../machines/compiled.ts';
import { run } from '../machines/program.ts';
import { restart } from '../machines/restart.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { keepTable } from '../support/out.ts';

const shop = await makeWorkshop();
const trust = { host: 'web', trustedKeys: [shop.keys.publicKey] };
const release = (name: string, sequence: number) =>
  shop.bundle(name, { hosts: { web: plainHost('web', name) }, args: ['--sequence', String(sequence)] });
const [oldBundle, newBundle] = [await release('old', 0), await release('good', 10)];
const hour = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16);
const shut = { window: { from: hour(6), to: hour(8) } };

/** Runs the old system, outside of its window; and the same with the new one staged. */
const golden = { idle: join(shop.folder, 'idle'), staged: join(shop.folder, 'staged') };
const idle = await makeTarget(golden.idle, { ...trust, policy: shut });
assert.equal((await idle.verb('switch', ['--tarball', oldBundle])).code, 0);
const old = await idle.currentSystem();
await idle.close();
const ready = await makeTarget(golden.staged, { ...trust, policy: shut, copyOf: golden.idle });
await copyFile(newBundle, join(ready.inbox, 'web.tar'));
assert.equal((await ready.verb('agent', ['--once'])).code, 0);
await rm(join(ready.inbox, 'done'), { recursive: true });
await ready.close();

interface Case {
  readonly from: keyof typeof golden;
  readonly when: 'before' | 'after';
  readonly state: State;
  readonly restart: boolean;
}

const staging: readonly State[] = ['realised', 'staged'];
const installing: readonly State[] = ['profile-set', 'boot-entry', 'switched', 'healthy', 'committed'];

const cases: Case[] = [
  ...staging.map((state) => ({ from: 'idle', state }) as const),
  ...installing.map((state) => ({ from: 'staged', state }) as const),
].flatMap(({ from, state }, row) =>
  (['before', 'after'] as const).map((when, column) => ({
    ...{ from, when, state },
    // Beside each other stand a restart after one transition and none after the next.
    restart: (row + column) % 2 === 1,
  })),
);

test('the life cycle leads this way', () => {
  const way = [...staging, ...installing];
  for (const [i, state] of way.slice(1).entries()) assert.ok(mayFollow(way[i] as State, state), state);
});

async function setWindow(target: Target, policy: object): Promise<void> {
  const { window: _, ...rest } = JSON.parse(await readFile(target.policyFile, 'utf8'));
  await writeFile(target.policyFile, JSON.stringify({ ...rest, ...policy }));
}

const list = (folder: string) => readdir(folder).catch(() => []);
const outcomes: Record<string, unknown>[] = [];

for (const [i, given] of cases.entries())
  test(`${given.from === 'idle' ? 'staging' : 'installing'}, killed ${given.when} ${given.state}${given.restart ? ', restarted' : ''}`, async () => {
    const root = join(shop.folder, `case-${i}`);
    const target = await makeTarget(root, { ...trust, policy: shut, copyOf: golden[given.from] });
    try {
      if (given.from === 'idle') await copyFile(newBundle, join(target.inbox, 'web.tar'));
      else await setWindow(target, {});
      const boot = given.restart ? 'another-boot' : 'this';
      const argv = [killedRun, target.settingsFile, given.when, given.state, boot];
      const killed = await target.run([process.execPath, ...argv]);
      assert.equal(killed.signal ?? killed.code, 'SIGKILL', killed.stderr);
      assert.ok((await offeredSystems(root)).includes(old ?? ''), 'the menu has the old system');
      if (given.restart) await restart(target);

      if (given.from === 'idle') {
        const again = await target.verb('agent', ['--once']);
        assert.equal(again.code, 0, again.stderr);
        const standing = lastOfEach((await readJournal(target.stateDirectory)).records).filter(
          ({ state }) => state === 'staged',
        );
        assert.equal(standing.length, 1, 'staged, and once');
        assert.equal(await target.currentSystem(), old);
        assert.equal((await list(join(target.stateDirectory, 'staged'))).length, 1);
        await rm(target.inbox, { recursive: true });
        await target.run(['nix-collect-garbage']);
        await setWindow(target, {});
      }
      const last = await target.verb('agent', ['--once']);
      // A rollback that was cut off is reported too, though the release is installed in the end.
      assert.ok(last.code === 0 || last.code === 75, last.stderr);

      const { records } = await readJournal(target.stateDirectory);
      const runs = lastOfEach(records);
      assert.deepEqual(
        runs.filter(({ state }) => state === 'staged' || !isAtRest(state)),
        [],
        'no run is left open',
      );
      const current = await target.currentSystem();
      assert.notEqual(current, old, 'it is installed');
      assert.equal(
        await readlink(join(root, 'nix/var/nix/profiles', (await target.profile()) ?? '')),
        current,
      );
      assert.deepEqual(await list(join(target.stateDirectory, 'staged')), []);
      const roots = await list(join(target.stateDirectory, 'roots'));
      assert.deepEqual(
        roots.filter((name) => name.startsWith('staged')),
        [],
      );
      const verified = await target.run(['nix-store', '--verify', '--check-contents']);
      assert.doesNotMatch(verified.stderr, /modified|disappeared|error/, verified.stderr);
      const own = runs.filter((r) => r.sequence === 11);
      const ends = own.map(({ state, code }) => `${state} ${code ?? ''}`);
      // A bundle that is there already is nothing new, and has no generation.
      const installed = own.filter((r) => r.state === 'committed' && r.generation !== undefined);
      assert.equal(installed.length, 1, ends.join(', '));
      outcomes.push({ ...given, ends });
    } finally {
      await target.close();
      await run('chmod', ['--recursive', 'u+w', root]);
      await rm(root, { recursive: true, force: true });
    }
  });

test('the outcomes are kept as a table', async () => {
  assert.equal(outcomes.length, cases.length);
  await keepTable('staged-kills', { cases: outcomes });
});
