/** Systems with files, each at its own place: something to go back to, what only a restart changes, specialisations, the boot menu. */
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { JournalRecord } from '../../../src/core/run/journal.ts';
import type { StorePath } from '../../../src/core/store-path.ts';
import { activate } from '../../../src/target/activate/activate.ts';
import { installMenu } from '../../../src/target/activate/boot-verb.ts';
import { ensureWayBack } from '../../../src/target/activate/first-generation.ts';
import { judgePending } from '../../../src/target/activate/judge-pending.ts';
import { carryOn } from '../../../src/target/activate/steps.ts';
import { systemAt } from '../../../src/target/activate/system-diff.ts';
import { Transaction } from '../../../src/target/machine/transaction.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import { inOwnStore, placeSystem } from '../../support/own-store.ts';
import { storePathOf } from '../../support/releases.ts';
import {
  type Making,
  newSystem,
  oldSystem,
  record,
  rootInMemory,
  thisBoot,
} from '../../support/root-machine.ts';

const other = storePathOf(3, 'nixos-system-web-other');
const before = { booted: oldSystem, running: oldSystem, generations: [oldSystem, newSystem] };

/** The profile moves as nix-env(1) moves it. */
async function wayBack(t: TestContext, making: Making, known: object = {}) {
  for (const system of [oldSystem, other]) await placeSystem(system);
  const made = await rootInMemory(t, making);
  const { profile } = made.machine.settings;
  const run: typeof made.machine.run = async (program, args, options) => {
    if (args.includes('--set')) {
      await rm(profile, { force: true });
      await symlink(String(args.at(-1)), `${profile}-7-link`);
      await symlink('system-7-link', profile);
    }
    return made.machine.run(program, args, options);
  };
  const transaction = await Transaction.begin(made.machine, 'web.tar');
  transaction.learn(known);
  const nix = { ...made.machine.nix, run };
  const outcome = await ensureWayBack({ ...made.machine, nix }, transaction).then(
    () => undefined,
    (error) => error.code,
  );
  const set = made.started.flatMap(({ argv }) => (argv.includes('--set') ? [argv.at(-1)] : []));
  return { ...made, set, outcome, known: transaction.known };
}

/** Answers for a system that refers to nothing. */
const alone = (argv: readonly string[]) => {
  const info = { narHash: `sha256-${Buffer.alloc(32).toString('base64')}`, narSize: 1000, references: [] };
  const paths = argv.filter((a) => a.startsWith('/nix/store/'));
  return argv.includes('path-info')
    ? { stdout: JSON.stringify(Object.fromEntries(paths.map((p) => [p, info]))) }
    : undefined;
};

async function carried(t: TestContext, changes: Partial<JournalRecord>, making: Making = {}) {
  const made = await rootInMemory(t, { ...before, ...making });
  const line = record({
    ...{ state: 'profile-set', operation: 'switch', bootId: thisBoot, generation: undefined },
    ...changes,
  });
  await made.write(line);
  const transaction = Transaction.resume(made.machine, line, ['profile-set']);
  const operation = line.operation === 'boot' ? 'boot' : 'switch';
  const receipt = await carryOn(made.machine, { transaction, toplevel: newSystem, operation });
  const ran = made.started.map(({ argv }) => argv).filter(([p]) => p?.endsWith('switch-to-configuration'));
  return { ...made, receipt, ran };
}

async function entries(folder: string, systems: readonly StorePath[]): Promise<void> {
  await rm(join(folder, 'loader/entries'), { recursive: true, force: true });
  await mkdir(join(folder, 'loader/entries'), { recursive: true });
  await writeFile(join(folder, 'loader/loader.conf'), 'default nixos-0.conf\n');
  for (const [i, system] of systems.entries())
    await writeFile(
      join(folder, 'loader/entries', `nixos-${i}.conf`),
      `title NixOS\noptions init=${system}/init\n`,
    );
}

inOwnStore(import.meta.url, () => {
  test('where a generation is known to go back to, none is made', async (t) => {
    const known = { previousToplevel: oldSystem, previousGeneration: 1 };
    assert.deepEqual((await wayBack(t, { running: oldSystem }, known)).set, []);
    for (const half of [{ previousToplevel: oldSystem }, { previousGeneration: 1 }])
      assert.deepEqual((await wayBack(t, { running: oldSystem }, half)).set, [oldSystem]);
  });

  test('where the profile has no generation, one is made of what runs; that is told', async (t) => {
    const { set, known } = await wayBack(t, { running: oldSystem });
    assert.deepEqual([set, known.previousToplevel, known.previousGeneration], [[oldSystem], oldSystem, 7]);
    assert.deepEqual(known.notices, [
      'The profile had no generation for the system to go back to, so generation 7 was created for it first.',
    ]);
  });

  test('where the profile does not show what was made, it is said that nobody knows its number', async (t) => {
    await placeSystem(oldSystem);
    const { machine } = await rootInMemory(t, { running: oldSystem });
    const transaction = await Transaction.begin(machine, 'web.tar');
    await ensureWayBack(machine, transaction);
    const { notices, previousGeneration, previousToplevel } = transaction.known;
    assert.match(notices?.join() ?? '', /generation unknown was created for it first\.$/);
    assert.deepEqual([previousGeneration, previousToplevel], [undefined, oldSystem]);
  });

  test('where the profile leads straight into the store, the generation is made of what is installed', async (t) => {
    const folder = await temporaryFolder(t);
    const profile = join(folder, 'system');
    await symlink(other, profile);
    const { set, known } = await wayBack(t, { running: oldSystem, settings: { profile } });
    assert.deepEqual([set, known.previousToplevel], [[other], other]);
  });

  test('a link to a system leads to it', async (t) => {
    await placeSystem(oldSystem);
    const link = join(await temporaryFolder(t), 'link');
    await symlink(oldSystem, link);
    assert.equal(await systemAt(link), oldSystem);
    assert.equal(await systemAt(oldSystem), oldSystem);
    await assert.rejects(systemAt(join(oldSystem, 'nixos-version')), { code: 'usage' });
  });

  test('what is no system is made no generation of', async (t) => {
    const { set, outcome } = await wayBack(t, { running: storePathOf(9, 'gone') });
    assert.deepEqual([set, outcome], [[], 'not-a-system']);
  });

  test('what only a restart changes is in the receipt, and said', async (t) => {
    await placeSystem(oldSystem, { kernel: 'a', 'kernel-params': 'quiet\n' });
    await placeSystem(newSystem, { kernel: 'b', 'kernel-params': 'loud\n' });
    const { receipt } = await carried(t, {});
    assert.equal(receipt.state, 'committed', receipt.detail);
    assert.deepEqual(receipt.rebootNeeded, ['kernel', 'kernel-params']);
    assert.deepEqual(receipt.notices, ['Takes effect after a restart: kernel, kernel-params.']);
    const waits = await carried(t, { operation: 'boot' });
    assert.deepEqual([waits.receipt.state, waits.receipt.rebootNeeded], ['pending', receipt.rebootNeeded]);
    // One thing is enough.
    await writeFile(join(newSystem, 'kernel-params'), 'quiet');
    assert.deepEqual((await carried(t, {})).receipt.rebootNeeded, ['kernel']);
  });

  test('where nothing does, nothing is said; after the restart it is no longer so', async (t) => {
    for (const system of [oldSystem, newSystem]) {
      await rm(system, { recursive: true, force: true });
      await placeSystem(system);
    }
    const { receipt } = await carried(t, {});
    assert.deepEqual([receipt.rebootNeeded, receipt.notices], [undefined, undefined]);
    const made = await rootInMemory(t, { ...before, booted: newSystem, running: newSystem });
    await made.write({ rebootNeeded: ['kernel'] });
    assert.deepEqual((await judgePending(made.machine, 'start'))?.rebootNeeded, []);
  });

  test('what is other is told before it is installed, in as many lines as fit the journal', async (t) => {
    await placeSystem(oldSystem);
    const units = Object.fromEntries(
      Array.from({ length: 30 }, (_, n) => [`etc/systemd/system/u${n}.service`, 'x']),
    );
    await placeSystem(newSystem, units);
    const made = await rootInMemory(t, {
      ...{ running: oldSystem, booted: oldSystem, generations: [oldSystem] },
      answer: alone,
    });
    const transaction = await Transaction.begin(made.machine, 'web.tar');
    for (const state of ['verified', 'accepted', 'imported', 'realised'] as const)
      await transaction.advance(state);
    const receipt = await activate(made.machine, { transaction, toplevel: newSystem, operation: 'switch' });
    assert.equal(receipt.state, 'committed');
    const changes = receipt.changes ?? [];
    assert.ok(changes.length > 1 && changes.length <= 21, changes.join('\n'));
    assert.match(changes.join('\n'), /u0\.service.* and 10 more$/m);
    await rm(join(newSystem, 'etc'), { recursive: true });
  });

  test('a specialisation that ran runs again, where the new system has it; the menu has the plain one', async (t) => {
    const quiet = storePathOf(8, 'nixos-system-web-quiet');
    await placeSystem(newSystem);
    await placeSystem(quiet);
    await mkdir(join(newSystem, 'specialisation'), { recursive: true });
    await symlink(quiet, join(newSystem, 'specialisation/quiet'));
    const { receipt, ran } = await carried(t, { specialisation: 'quiet' });
    assert.deepEqual(ran, [
      [`${newSystem}/bin/switch-to-configuration`, 'boot'],
      [`${quiet}/bin/switch-to-configuration`, 'test'],
    ]);
    assert.deepEqual(receipt.notices, [
      'Specialisation quiet was running and still is. The next start uses the plain system.',
    ]);
    await rm(join(newSystem, 'specialisation'), { recursive: true });
  });

  test('which specialisation runs is found out before anything is changed', async (t) => {
    const quiet = storePathOf(8, 'nixos-system-web-quiet');
    for (const system of [oldSystem, newSystem, quiet]) await placeSystem(system);
    await mkdir(join(oldSystem, 'specialisation'), { recursive: true });
    await symlink(quiet, join(oldSystem, 'specialisation/quiet'));
    const made = await rootInMemory(t, { running: quiet, booted: oldSystem, generations: [oldSystem] });
    const transaction = await Transaction.begin(made.machine, 'web.tar');
    for (const state of ['verified', 'accepted', 'imported', 'realised'] as const)
      await transaction.advance(state);
    const receipt = await activate(made.machine, { transaction, toplevel: newSystem, operation: 'switch' });
    assert.equal(receipt.specialisation, 'quiet');
    assert.equal(receipt.previousCurrent, quiet);
    await rm(join(oldSystem, 'specialisation'), { recursive: true });
  });

  test('what a cut-off boot builder left is removed before the next, where nobody holds the lock of switches', async (t) => {
    for (const [activation, exitCode, event] of [
      ['direct', 0, 'boot-leftover-removed'],
      ['direct', 1, 'boot-leftover-kept'],
      ['systemd', 0, 'boot-leftover-removed'],
    ] as const) {
      const bootDirectory = await temporaryFolder(t);
      await mkdir(join(bootDirectory, 'loader'), { recursive: true });
      const made = await rootInMemory(t, {
        ...before,
        settings: { bootDirectory, activation },
        answer: (argv) => (argv.includes('flock') ? { exitCode, stderrTail: [] } : undefined),
      });
      const line = record({ state: 'boot-entry', operation: 'boot' });
      const transaction = Transaction.resume(made.machine, line, ['profile-set', 'boot-entry']);
      const question = { next: newSystem, offered: [] };
      const install = () =>
        installMenu(made.machine, transaction, {
          question,
          requireDone: () => undefined,
          onRenewed: undefined,
        });
      await install();
      assert.ok(!made.started.some(({ argv }) => argv.includes('flock')), 'nothing was left');
      const { leftover } = await import('../../../src/activation/boot-menu.ts');
      const file = leftover(bootDirectory);
      await mkdir(join(file, '..'), { recursive: true });
      await writeFile(file, '');
      await install();
      const [tried] = made.started.filter(({ argv }) => argv.includes('flock'));
      const argv = tried?.argv ?? [];
      const lock = '/run/nixos/switch-to-configuration.lock';
      assert.deepEqual(argv.slice(argv.indexOf('flock')), [
        ...['flock', '--nonblock', '--no-fork', lock, 'rm', '--force', file],
      ]);
      assert.equal(argv[0], activation === 'systemd' ? 'systemd-run' : 'flock');
      if (activation === 'direct') assert.deepEqual(tried?.options, { timeout: 60_000, cwd: '/' });
      const said = made.events.filter((e) => e.event.startsWith('boot-leftover'));
      assert.deepEqual(
        said.map((e) => [e.event, e.level, e.file, e.detail]),
        [[event, 'warn', file, exitCode === 0 ? undefined : 'busy']],
      );
    }
  });

  test('a generation that is gone back to and has no entry in the menu gets a new one, and the menu is made again', async (t) => {
    for (const system of [oldSystem, newSystem]) await placeSystem(system);
    const bootDirectory = await temporaryFolder(t);
    await entries(bootDirectory, [oldSystem]);
    let builds = 0;
    const made = await rootInMemory(t, { ...before, settings: { bootDirectory } });
    const run: typeof made.machine.run = async (program, args, options) => {
      if (args[0] === 'boot') {
        builds += 1;
        // The first menu is too short for an old generation.
        const isShort = builds === 1 || program.startsWith(oldSystem);
        await entries(bootDirectory, isShort ? [oldSystem] : [newSystem, oldSystem]);
      }
      return made.machine.run(program, args, options);
    };
    const machine = { ...made.machine, run };
    const line = record({
      ...{ state: 'boot-entry', operation: 'switch', bootId: thisBoot, targetGeneration: 2, generation: 2 },
    });
    const transaction = Transaction.resume(machine, line, ['profile-set', 'boot-entry']);
    const receipt = await carryOn(machine, { transaction, toplevel: newSystem, operation: 'switch' });
    assert.deepEqual([receipt.state, builds], ['committed', 2], receipt.detail);
    assert.deepEqual(
      made.started.flatMap(({ argv }) => (argv.includes('--set') ? [argv.at(-1)] : [])),
      [newSystem],
    );
    assert.match(await readFile(join(bootDirectory, 'loader/entries/nixos-0.conf'), 'utf8'), /web-new/);
    // What a bundle has just installed is the newest generation: that it has no entry is no matter of the menu’s length.
    builds = 0;
    const plain = Transaction.resume(
      machine,
      record({ state: 'boot-entry', operation: 'switch', bootId: thisBoot, generation: 2 }),
      ['profile-set', 'boot-entry'],
    );
    await entries(bootDirectory, [oldSystem]);
    const failed = await carryOn(machine, { transaction: plain, toplevel: newSystem, operation: 'switch' });
    assert.equal(failed.code, 'no-boot-entry', failed.detail);
  });
});
