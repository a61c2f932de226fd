/**
 * SIGKILL before and after every transition, generated from the life cycle, with a good and a bad system, in the same
 * boot and with a restart in between, with the bundle still there and taken away. Whatever happens: the run that was killed ends
 * as the life cycle has it, and not another in its stead; profile, boot entry and running system agree, and the store is whole.
 */
import assert from 'node:assert/strict';
import { copyFile, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasBegunToChange, isEnd, mayFollow, type State, states } from '../../src/core/run/lifecycle.ts';
import { readJournal } from '../../src/state/journal.ts';
import { defaultSystem, offeredSystems } from '../machines/boot-menu.ts';
import { killedRun } from '../machines/compiled.ts';
import { run } from '../machines/program.ts';
import { asBooted, restart } from '../machines/restart.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { inSample, isItsTurn } from '../support/cases.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { keepTable } from '../support/out.ts';

const shop = await makeWorkshop();
const trust = { host: 'web', trustedKeys: [shop.keys.publicKey] };
const release = (name: string, sequence: number, switchPrelude?: string) =>
  shop.bundle(name, {
    hosts: { web: plainHost('web', name) },
    args: ['--sequence', String(sequence)],
    ...(switchPrelude === undefined ? {} : { switchPrelude }),
  });
const bundles = {
  good: await release('good', 10),
  next: await release('next', 10),
  bad: await release('bad', 10, 'if [ "${1:-}" = switch ]; then exit 2; fi'),
};

/** A machine that runs the old system, to be copied for each case. */
const golden = join(shop.folder, 'golden');
const first = await makeTarget(golden, trust);
const installed = await first.verb('switch', ['--tarball', await release('old', 0)]);
assert.equal(installed.code, 0, installed.stderr);
const old = await first.currentSystem();
const before = new Set((await readJournal(first.stateDirectory)).records.map((r) => r.transaction));
await first.close();

interface Case {
  /** `next`: a good one, installed with `boot` for the next start. */
  readonly system: 'good' | 'bad' | 'next';
  readonly when: 'before' | 'after';
  readonly state: State;
  readonly restart: boolean;
  readonly bundle: 'stays' | 'is gone';
}

/** The states a run of that system passes through, walked from the life cycle itself. */
function wayOf(system: Case['system']): State[] {
  const preferred: readonly State[] =
    system === 'good'
      ? [
          'verified',
          'accepted',
          'imported',
          'realised',
          'profile-set',
          'boot-entry',
          'switched',
          'healthy',
          'committed',
        ]
      : [
          'verified',
          'accepted',
          'imported',
          'realised',
          'profile-set',
          'boot-entry',
          'switched',
          'rolling-back',
          'rolled-back',
        ];
  if (system === 'next')
    return [...wayOf('good').filter((s) => !['switched', 'healthy', 'committed'].includes(s)), 'pending'];
  const way: State[] = ['discovered'];
  while (!isEnd(way.at(-1) as State)) {
    const next = preferred.find((s) => mayFollow(way.at(-1) as State, s) && !way.includes(s));
    assert.ok(next !== undefined, `no way leads on from ${way.at(-1)}`);
    way.push(next);
  }
  return way;
}

const matrix: Case[] = (['good', 'bad', 'next'] as const).flatMap((system) =>
  wayOf(system).flatMap((state, row) =>
    (['before', 'after'] as const).flatMap((when) =>
      [false, true]
        // Beside each other stand a restart after one transition and none after the next; a rollback is always cut off by a restart.
        .filter((restart) => inSample(system === 'bad' ? row + 1 : row, Number(restart), 2))
        .map(
          (restart): Case => ({
            system,
            when,
            state,
            restart,
            bundle: restart === (when === 'after') ? 'is gone' : 'stays',
          }),
        ),
    ),
  ),
);

/** As long as nothing is changed but the store one state is much like the next: those take turns. */
const cases = matrix.filter((given, i) => hasBegunToChange(onDisk(given) ?? 'discovered') || isItsTurn(i));

test('the matrix covers every state that a run can be in', () => {
  const covered = new Set<State>(matrix.map((c) => c.state));
  // These end a run before anything is changed, and need a bundle of another kind; or a window (staged-kills.test.ts).
  const elsewhere: readonly State[] = ['staged', 'deferred', 'refused', 'failed', 'superseded'];
  assert.deepEqual(
    states.filter((s) => !covered.has(s) && !elsewhere.includes(s)),
    [],
  );
});

test('the sample has a rollback that a restart cuts off, and a good system killed in each state that changes the machine', () => {
  assert.ok(cases.some((c) => onDisk(c) === 'rolling-back' && c.restart));
  const sameBoot = cases.filter((c) => c.system === 'good' && !c.restart).map(onDisk);
  for (const state of ['profile-set', 'boot-entry', 'switched', 'healthy'] as const)
    assert.ok(sameBoot.includes(state), state);
});

/** The last state of the run that was killed; undefined where it had not begun. */
function onDisk({ system, when, state }: Case): State | undefined {
  const way = wayOf(system);
  return when === 'after' ? state : way[way.indexOf(state) - 1];
}

/** How the run that was killed ends. @param booted what a restart came up in, if there was one */
function endOf(given: Case, booted: string | undefined): State | undefined {
  const state = onDisk(given);
  if (state === undefined || isEnd(state)) return state;
  if (!hasBegunToChange(state)) return 'deferred';
  if (state === 'rolling-back' || (booted === old && state !== 'pending')) return 'rolled-back';
  // In the same boot a bad system fails once more; after a restart the machine stays with whichever system it came up in.
  return given.system === 'bad' && booted === undefined ? 'rolled-back' : 'committed';
}

async function stateOf(target: Target) {
  const profile = await target.profile();
  const { records } = await readJournal(target.stateDirectory);
  return {
    current: await target.currentSystem(),
    profile: await readlink(join(target.root, 'nix/var/nix/profiles', profile ?? '')),
    starts: await defaultSystem(target.root),
    records: records.filter((r) => !before.has(r.transaction)),
    last: records.filter((r) => r.sequence === 11).at(-1),
    open: records.filter(
      (r, i) => !isEnd(r.state) && !records.slice(i + 1).some((x) => x.transaction === r.transaction),
    ),
  };
}

const outcomes: Record<string, unknown>[] = [];

for (const [i, given] of cases.entries()) {
  const what = `${given.system} system, killed ${given.when} ${given.state}${given.restart ? ', restarted' : ''}, the bundle ${given.bundle}`;
  test(what, async () => {
    const root = join(shop.folder, `case-${i}`);
    await run('cp', ['--archive', golden, root]);
    const operation = given.system === 'next' ? 'boot' : 'switch';
    const target = await makeTarget(root, { ...trust, policy: { operation } });
    try {
      await copyFile(bundles[given.system], join(target.inbox, 'web.tar'));
      const boot = given.restart ? 'another-boot' : 'this';
      const killed = await target.run([
        process.execPath,
        killedRun,
        target.settingsFile,
        given.when,
        given.state,
        boot,
      ]);
      assert.equal(killed.signal ?? killed.code, 'SIGKILL', killed.stderr);
      const stopped = (await stateOf(target)).records.at(-1);
      assert.equal(stopped?.state, onDisk(given), 'killed where it was to be');

      // The old system must be able to boot at this very moment: its generation and its entry are there.
      const boots = await target.run(['test', '-x', `${old}/init`]);
      assert.equal(boots.code, 0);
      assert.equal(await readlink(join(root, 'nix/var/nix/profiles/system-1-link')), old);
      assert.ok((await offeredSystems(root)).includes(old ?? ''), 'the menu has the old system');

      const booted = given.restart ? await restart(target) : undefined;
      if (given.bundle === 'is gone') await rm(join(target.inbox, 'web.tar'), { force: true });
      const again = await target.verb('agent', ['--once']);
      assert.ok(again.code !== null && again.code !== 64, again.stderr);

      let after = await stateOf(target);
      if (after.open.some((r) => r.state === 'pending')) {
        assert.equal(after.current, old, 'nothing runs before its start');
        await restart(target);
        const judged = await asBooted(target, 'a-third-boot', 'agent');
        assert.equal(judged.code, 0, judged.stderr);
        after = await stateOf(target);
      }
      assert.deepEqual(after.open, [], 'no run is left open');
      assert.equal(after.current, after.profile, 'what runs is what is installed');
      assert.equal(after.starts, after.profile, 'what is installed is what boots');
      const own = after.records.filter((r) => r.transaction === stopped?.transaction);
      const end = endOf(given, booted);
      assert.equal(own.at(-1)?.state, end, 'the run that was killed ends itself');
      if (end === 'committed') {
        const others = after.records.filter((r) => !own.includes(r) && r.state === 'profile-set');
        assert.deepEqual(others, [], 'no other run has to do it over');
        assert.notEqual(after.current, old);
      }
      if (end === 'rolled-back' && given.system === 'bad')
        assert.equal(after.current, old, 'the old system runs again');
      if (given.system !== 'bad' && given.bundle === 'stays')
        assert.notEqual(after.current, old, 'taken again');
      const committed = after.current !== old;
      if (after.last !== undefined) {
        assert.ok(
          ['committed', 'rolled-back', 'deferred', 'refused'].includes(after.last.state),
          after.last.state,
        );
      }
      const verified = await target.run(['nix-store', '--verify', '--check-contents']);
      assert.doesNotMatch(verified.stderr, /modified|disappeared|error/, verified.stderr);
      outcomes.push({
        ...given,
        end,
        running: committed ? 'new' : 'old',
        last: after.last?.state,
        code: after.last?.code,
      });
    } finally {
      await target.close();
      await run('chmod', ['--recursive', 'u+w', root]);
      await rm(root, { recursive: true, force: true });
    }
  });
}

test('the outcomes are kept as a table', async () => {
  assert.equal(outcomes.length, cases.length);
  await keepTable('kill-matrix', { cases: outcomes });
});
