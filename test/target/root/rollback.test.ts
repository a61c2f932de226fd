/** A person goes back to a generation: to which, of which releases it is, and what is held by it. */
import assert from 'node:assert/strict';
import { rm, symlink } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { NixmakerError } from '../../../src/core/errors.ts';
import { policyParser } from '../../../src/core/policy/policy.ts';
import type { JournalRecord } from '../../../src/core/run/journal.ts';
import { raiseFloor } from '../../../src/state/floor.ts';
import { readHeldFile } from '../../../src/state/held.ts';
import { goBack } from '../../../src/target/root/rollback.ts';
import { inOwnStore, placeSystem } from '../../support/own-store.ts';
import { storePathOf } from '../../support/releases.ts';
import { type InMemory, lastBoot, rootInMemory } from '../../support/root-machine.ts';

const generation = (n: number) => storePathOf(n, `nixos-system-web-${n}`);
const [first, second, third] = [generation(1), generation(2), generation(3)];

/** A run that has installed this system as this release. */
const installed = (
  sequence: number,
  toplevel: string,
  more: Partial<JournalRecord> = {},
): Partial<JournalRecord> => ({
  ...{ transaction: `00000000000${sequence}`, state: 'committed', operation: 'switch' },
  ...{ sequence, toplevel, manifestDigest: String(sequence).repeat(64), generation: sequence },
  ...more,
});

/** Generations 1 to 3; the third is the present one, as release 3, whose sequence is the floor. */
async function machineWith(t: TestContext, ...records: readonly Partial<JournalRecord>[]): Promise<InMemory> {
  for (const system of [first, second, third]) await placeSystem(system);
  const made = await rootInMemory(t, {
    ...{ booted: third, running: third, generations: [first, second, third] },
    policy: { reboot: { when: 'never' } },
  });
  await made.write(...records);
  const newest = records.at(-1);
  if (newest?.sequence !== undefined)
    await raiseFloor(made.machine.floorDirectory, {
      ...{ schema: 1, sequence: newest.sequence, manifestDigest: newest.manifestDigest ?? '' },
      createdAt: '2026-11-01T00:00:00Z',
    });
  return made;
}

const switchedTo = ({ started }: InMemory) =>
  started.map(({ argv }) => argv).filter(([program]) => program?.endsWith('/bin/switch-to-configuration'));

inOwnStore(import.meta.url, () => {
  test('a system that came by other means is left like any other, and nothing is held for it', async (t) => {
    const made = await machineWith(t, installed(1, first), installed(2, second));
    const receipt = await goBack(made.machine, {});
    assert.deepEqual([receipt.state, receipt.code], ['committed', undefined], receipt.detail);
    assert.deepEqual([receipt.rolledBackFrom, receipt.rolledBackTo], [undefined, 2]);
    assert.deepEqual((await readHeldFile(made.machine.floorDirectory)).releases, []);
  });

  test('without a number it is the newest before the present one; the release that is left is held', async (t) => {
    const made = await machineWith(t, installed(1, first), installed(2, second), installed(3, third));
    const receipt = await goBack(made.machine, {});
    assert.deepEqual([receipt.state, receipt.code], ['committed', undefined], receipt.detail);
    assert.deepEqual(
      [receipt.targetGeneration, receipt.toplevel, receipt.source],
      [2, second, 'generation 2'],
    );
    assert.deepEqual([receipt.rolledBackFrom, receipt.rolledBackTo], [3, 2]);
    assert.ok(switchedTo(made).every(([program]) => program?.startsWith(second)));
    const { releases } = await readHeldFile(made.machine.floorDirectory);
    assert.deepEqual(
      releases.map((r) => r.sequence),
      [3],
    );
  });

  test('to the number that was asked for, also where it is not the next; its own release is held no more', async (t) => {
    const made = await machineWith(t, installed(1, first), installed(2, second), installed(3, third));
    await goBack(made.machine, { to: 1 });
    await rm(made.machine.settings.profile);
    await symlink('system-1-link', made.machine.settings.profile);
    const forward = await goBack(made.machine, { to: 3 });
    assert.deepEqual(
      [forward.targetGeneration, forward.rolledBackTo, forward.rolledBackFrom],
      [3, 3, undefined],
    );
    const { releases } = await readHeldFile(made.machine.floorDirectory);
    assert.deepEqual(releases, []);
  });

  test('what is left is named only where it could come again, and is another release', async (t) => {
    const unknown = await machineWith(t);
    const { rolledBackFrom, rolledBackTo } = await goBack(unknown.machine, {});
    assert.deepEqual([rolledBackFrom, rolledBackTo], [undefined, undefined]);
    // The same release in both generations.
    const same = await machineWith(t, installed(3, third), {
      ...installed(3, second),
      transaction: '00000000000a',
    });
    assert.deepEqual((await goBack(same.machine, {})).rolledBackFrom, undefined);
    // A release below the floor is not taken again anyhow.
    const older = await machineWith(t, installed(2, second), installed(1, third), installed(3, first));
    const back = await goBack(older.machine, {});
    assert.deepEqual([back.rolledBackFrom, back.rolledBackTo], [undefined, 2]);
    // One that was signed to go below exactly this floor could be.
    const signed = await machineWith(
      t,
      ...[installed(2, second), installed(3, first)],
      installed(1, third, { downgradeFrom: 3 }),
    );
    await raiseFloor(signed.machine.floorDirectory, {
      ...{ schema: 1, sequence: 3, manifestDigest: '1'.repeat(64), createdAt: '2026-11-01T00:00:00Z' },
    });
    assert.equal((await goBack(signed.machine, {})).rolledBackFrom, 1);
    // Where no floor is known every release could come.
    const without = await machineWith(t, installed(2, second), installed(3, third));
    for (const copy of ['floor.a', 'floor.b']) await rm(`${without.machine.floorDirectory}/${copy}`);
    assert.equal((await goBack(without.machine, {})).rolledBackFrom, 3);
  });

  test('a number that is not there is refused with those that are, in their order', async (t) => {
    const made = await rootInMemory(t, { generations: Array.from({ length: 11 }, () => first) });
    const refusal = (to: number | undefined) =>
      goBack(made.machine, { to }).catch((error: unknown) =>
        error instanceof NixmakerError ? `${error.code}: ${error.detail}` : String(error),
      );
    assert.equal(
      await refusal(12),
      'no-such-generation: available generations: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11',
    );
    await rm(made.machine.settings.profile);
    await symlink('system-1-link', made.machine.settings.profile);
    assert.match(String(await refusal(undefined)), /^no-such-generation/, 'nothing is before the first');
    const none = await rootInMemory(t, { generations: [] });
    await assert.rejects(goBack(none.machine, {}), /available generations: none$/);
    assert.deepEqual(made.started, []);
  });

  test('where the profile is a plain link into the store, the newest generation counts as before it', async (t) => {
    const made = await machineWith(t);
    await rm(made.machine.settings.profile);
    await symlink(third, made.machine.settings.profile);
    assert.equal((await goBack(made.machine, {})).targetGeneration, 3);
  });

  test('past a one-way release nobody goes by mistake', async (t) => {
    const lines = [installed(1, first), installed(2, second, { noWayBack: 'migrated' }), installed(3, third)];
    const made = await machineWith(t, ...lines);
    await assert.rejects(goBack(made.machine, { to: 1 }), {
      code: 'one-way',
      detail: 'release 2 is one-way: migrated',
    });
    assert.deepEqual(made.started, []);
    const back = await goBack(made.machine, { to: 1, despiteOneWay: true });
    assert.deepEqual(
      [back.state, back.notices],
      ['committed', ['Gone back although release 2 is one-way: migrated.']],
    );
    const other = await machineWith(t, ...lines);
    assert.equal((await goBack(other.machine, { to: 2 })).state, 'committed', 'to it, not past it');
  });

  test('a broken hook holds nobody up who goes back without hooks', async (t) => {
    const hooks = { before: { command: ['/nowhere/x'] } };
    const made = await machineWith(t, installed(2, second), installed(3, third));
    const machine = { ...made.machine, policy: policyParser.parse({ ...made.machine.policy, hooks }) };
    const held = await goBack(machine, {});
    assert.deepEqual(
      [held.state, held.code, held.detail],
      ['deferred', 'hook-failed', 'hooks.before: there is no file /nowhere/x'],
    );
    assert.equal((await goBack(machine, { withoutHooks: true })).state, 'committed');
  });

  test('what was cut off is ended first', async (t) => {
    const made = await machineWith(t, installed(3, third));
    await made.write({
      ...{ transaction: 'aaaaaaaaaaaa', state: 'rolling-back', operation: 'switch', bootId: lastBoot },
      ...{ toplevel: third, previousToplevel: second, generation: undefined },
    });
    await goBack(made.machine, { to: 1 });
    const runs = await made.runs();
    assert.equal(runs.find((r) => r.transaction === 'aaaaaaaaaaaa')?.state, 'rolled-back');
  });
});
