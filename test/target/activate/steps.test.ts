/** From `profile-set` to a committed generation, step by step, and where each step may lead elsewhere. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { failedDigests } from '../../../src/core/run/journal.ts';
import type { Operation } from '../../../src/core/schema.ts';
import { readFloor } from '../../../src/state/floor.ts';
import { resumeStopped } from '../../../src/target/activate/resume.ts';
import { carryOn, sentence } from '../../../src/target/activate/steps.ts';
import { systemAt } from '../../../src/target/activate/system-diff.ts';
import { Transaction } from '../../../src/target/machine/transaction.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import {
  type Making,
  newSystem,
  oldSystem,
  record,
  rootInMemory,
  thisBoot,
} from '../../support/root-machine.ts';

const before = { booted: oldSystem, running: oldSystem, generations: [oldSystem, newSystem] };

/** Programs are `set`, or the verb of the new system’s program. */
async function carried(
  t: TestContext,
  { operation = 'switch', ...making }: Making & { operation?: Operation; learned?: object } = {},
) {
  const made = await rootInMemory(t, { ...before, ...making });
  const started = { state: 'profile-set', operation, bootId: thisBoot, generation: undefined } as const;
  const line = record({ ...started, ...making.learned });
  await made.write(line);
  const transaction = Transaction.resume(made.machine, line, ['profile-set']);
  const receipt = await carryOn(made.machine, { transaction, toplevel: newSystem, operation });
  const did = made.started.map(({ argv }) =>
    argv[0] === 'nix-env'
      ? (argv[5] ?? '')
      : `${argv[0] === `${newSystem}/bin/switch-to-configuration` ? 'new' : 'old'} ${argv[1]}`,
  );
  return { ...made, receipt, did, floor: (await readFloor(made.machine.floorDirectory)).floor?.sequence };
}

test('a switch sets the profile, the boot entry, switches, and raises the floor', async (t) => {
  const { receipt, did, floor, machine } = await carried(t);
  assert.deepEqual(
    [receipt.state, receipt.detail],
    ['committed', 'The new system is installed and running.'],
  );
  assert.deepEqual(did, ['--set', 'new boot', 'new switch']);
  assert.deepEqual([floor, receipt.generation], [5, 2]);
  assert.equal(await readlink(machine.settings.profile), 'system-2-link');
});

test('a boot leaves it at that: the system waits, and the floor stays', async (t) => {
  const { receipt, did, floor } = await carried(t, { operation: 'boot' });
  assert.deepEqual([receipt.state, did, floor], ['pending', ['--set', 'new boot'], undefined]);
});

test('a switch that needs a restart leaves the system waiting, and not switched back', async (t) => {
  const answer = ([, verb]: readonly string[]) => (verb === 'switch' ? { exitCode: 100 } : undefined);
  const { receipt, did, floor } = await carried(t, { answer });
  assert.deepEqual([receipt.state, did, floor], ['pending', ['--set', 'new boot', 'new switch'], undefined]);
});

for (const verb of ['boot', 'switch'])
  test(`where “${verb}” fails everything is put back, and the floor stays`, async (t) => {
    const answer = ([program, said]: readonly string[]) =>
      program?.includes('new') === true && said === verb ? { exitCode: 1, stdout: 'broken\n' } : undefined;
    const { receipt, did, floor } = await carried(t, { answer });
    assert.deepEqual([receipt.state, receipt.code, floor], ['rolled-back', 'activation-failed', undefined]);
    assert.match(receipt.detail ?? '', /exit 1\): broken/);
    const back = ['--switch-generation', '--delete-generations', 'old boot'];
    const began = verb === 'boot' ? ['--set', 'new boot'] : ['--set', 'new boot', 'new switch'];
    assert.deepEqual(did, [...began, ...back, ...(verb === 'switch' ? ['old switch'] : [])]);
  });

for (const verb of ['boot', 'switch'])
  test(`where “${verb}” fails for the new system and for the old one as well, both are told, and the floor stays`, async (t) => {
    const answer = ([program, said]: readonly string[]) =>
      program?.endsWith('switch-to-configuration') === true && said === verb
        ? { exitCode: 1, stdout: 'broken\n' }
        : undefined;
    const { receipt, did, floor, runs, machine } = await carried(t, { answer });
    assert.deepEqual([receipt.state, receipt.code, floor], ['failed', 'rollback-failed', undefined]);
    const both = `^switch-to-configuration: \\S+ \\(exit 1\\): broken; while restoring: rollback-failed: ${oldSystem} ${verb}: \\S+: broken$`;
    assert.match(receipt.detail ?? '', new RegExp(both));
    const back = ['--switch-generation', '--delete-generations', 'old boot'];
    const began = verb === 'boot' ? ['--set', 'new boot'] : ['--set', 'new boot', 'new switch'];
    assert.deepEqual(did, [...began, ...back, ...(verb === 'switch' ? ['old switch'] : [])]);
    assert.deepEqual([...failedDigests(await runs())], [record().manifestDigest], 'not tried again');
    assert.deepEqual(await resumeStopped(machine), [], 'it has ended');
  });

test('where no generation of the system before is known, nobody is told that it was put back', async (t) => {
  const answer = ([, verb]: readonly string[]) => (verb === 'switch' ? { exitCode: 1 } : undefined);
  const { receipt } = await carried(t, { answer, learned: { previousGeneration: undefined } });
  assert.deepEqual([receipt.state, receipt.code], ['failed', 'rollback-failed']);
  assert.match(
    receipt.detail ?? '',
    /while restoring: .*there is no known generation of the previous system/,
  );
  const learned = { previousToplevel: undefined, previousGeneration: undefined };
  const { receipt: without } = await carried(t, { answer, learned });
  assert.deepEqual([without.state, without.code], ['failed', 'no-way-back']);
  assert.match(
    without.detail ?? '',
    /no system was installed before; .* is installed now, although it failed/,
  );
});

/** A menu of systemd-boot with an entry for each; the builder of the system in `by` makes another of it. */
async function menu(t: TestContext, by: string, then: readonly string[]) {
  const bootDirectory = await temporaryFolder(t);
  const write = (systems: readonly string[]) => {
    const entries = join(bootDirectory, 'loader/entries');
    rmSync(entries, { recursive: true, force: true });
    mkdirSync(entries, { recursive: true });
    for (const [i, system] of systems.entries())
      writeFileSync(join(entries, `nixos-${i}.conf`), `title NixOS\noptions init=${system}/init\n`);
    writeFileSync(join(bootDirectory, 'loader/loader.conf'), 'default nixos-0.conf\n');
  };
  write([oldSystem]);
  const answer = ([program, verb]: readonly string[]) => {
    if (verb === 'boot' && program?.startsWith(by)) write(then);
    return verb === 'switch' && program?.startsWith(newSystem) ? { exitCode: 1 } : undefined;
  };
  return { settings: { bootDirectory }, answer };
}

test('a release that there is no way back from is left as it is once it has been switched to, and not before', async (t) => {
  const learned = { noWayBack: 'the database is migrated' };
  const fails = (verb: string) => (argv: readonly string[]) =>
    argv[0]?.startsWith(newSystem) === true && argv[1] === verb ? { exitCode: 1 } : undefined;
  const { receipt, did, floor, runs } = await carried(t, { answer: fails('switch'), learned });
  assert.deepEqual([receipt.state, receipt.code, floor], ['failed', 'left-unwell', 5]);
  assert.match(receipt.detail ?? '', /\(exit 1\).*; the release is one-way: the database is migrated$/);
  assert.deepEqual(did, ['--set', 'new boot', 'new switch']);
  assert.deepEqual([...failedDigests(await runs())], [record().manifestDigest], 'not tried again');
  const before = await carried(t, { answer: fails('boot'), learned });
  assert.deepEqual(
    [before.receipt.state, before.receipt.code, before.floor],
    ['rolled-back', 'activation-failed', undefined],
  );
});

test('a boot partition that is full lets no menu be written; where the old one leads back, the old system was put back', async (t) => {
  const full = ([program, verb]: readonly string[]) =>
    program?.endsWith('switch-to-configuration') === true && verb === 'boot'
      ? { exitCode: 1, stdout: 'OSError: [Errno 28] No space left on device\n' }
      : undefined;
  const { settings } = await menu(t, '-', []);
  const { receipt } = await carried(t, { settings, answer: full });
  assert.deepEqual([receipt.state, receipt.code], ['rolled-back', 'activation-failed'], receipt.detail);
  assert.match(
    receipt.notices?.join() ?? '',
    /could not be rewritten \(.*No space left.*\)\. It still starts the previous/,
  );
  // One that was written for the new system, and can’t be for the old one.
  const { settings: other, answer } = await menu(t, newSystem, [newSystem, oldSystem]);
  const unwell = (argv: readonly string[]) =>
    argv[0]?.startsWith(newSystem) === true && argv[1] === 'switch'
      ? { exitCode: 1 }
      : (answer(argv) ?? (argv[0]?.startsWith(oldSystem) === true ? full(argv) : undefined));
  const { receipt: failed } = await carried(t, { settings: other, answer: unwell });
  assert.deepEqual([failed.state, failed.code], ['failed', 'rollback-failed']);
  assert.match(failed.detail ?? '', /while restoring: .*No space left/);
});

test('a boot builder that leaves the old system no entry is not gone on with', async (t) => {
  const { receipt, did } = await carried(t, await menu(t, newSystem, [newSystem]));
  assert.deepEqual([receipt.state, receipt.code], ['failed', 'rollback-failed']);
  assert.match(receipt.detail ?? '', /menu/);
  assert.ok(!did.includes('new switch'), did.join());
});

test('a way back that leads to no entry in the menu is none', async (t) => {
  const { receipt, did } = await carried(t, await menu(t, '/nix/store', [newSystem, oldSystem]));
  assert.ok(did.includes('new switch'), did.join());
  assert.deepEqual([receipt.state, receipt.code], ['failed', 'rollback-failed']);
});

test('units that failed are a notice, and no reason to go back', async (t) => {
  const answer = ([, verb]: readonly string[]) => (verb === 'switch' ? { exitCode: 4 } : undefined);
  const { receipt } = await carried(t, { answer });
  assert.equal(receipt.state, 'committed');
  assert.match(receipt.notices?.join() ?? '', /some units failed/);
});

test('a generation that an operator chose is gone to, and none is made', async (t) => {
  const { did } = await carried(t, { learned: { targetGeneration: 2 } });
  assert.deepEqual(did, ['--switch-generation', 'new boot', 'new switch']);
});

test('a specialisation that the new system has not is said to be gone', async (t) => {
  const plain = await carried(t);
  assert.equal(plain.receipt.notices, undefined);
  const { receipt, did } = await carried(t, { learned: { specialisation: 'quiet' } });
  assert.match(receipt.notices?.join() ?? '', /does not have it/);
  assert.equal(did.at(-1), 'new switch');
});

test('after a downgrade the floor stays where it was', async (t) => {
  assert.equal((await carried(t, { learned: { downgradeFrom: 9 } })).floor, 9);
});

for (const missing of ['sequence', 'manifestDigest', 'createdAt'] as const)
  test(`a run that names no ${missing} is no release’s: it raises no floor`, async (t) => {
    const { receipt, machine } = await carried(t, { learned: { [missing]: undefined } });
    assert.equal(receipt.state, 'committed');
    assert.deepEqual(await readFloor(machine.floorDirectory), { floor: undefined, damaged: 0 });
  });

test('each operation is told of in words of its own', () => {
  const said = (['boot', 'switch', 'test', 'dry-activate'] as const).map(sentence);
  for (const [i, word] of [
    /started into/,
    /installed and running/,
    /until the next start/,
    /Nothing was changed/,
  ].entries())
    assert.match(said[i] ?? '', word);
});

test('what is no system in the store is told of', async () => {
  await assert.rejects(systemAt('/etc'), { code: 'usage', detail: '/etc is not a system in the store' });
});
