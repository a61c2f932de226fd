/** What becomes of a generation whose deletion was cut off, by what the boot menu says. (Killed at each step: test/target/makes-room.test.ts.) */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { lstat, mkdir, readdir, readlink, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { StorePath } from '../../../src/core/store-path.ts';
import { deleteHeld, settle } from '../../../src/target/activate/leave.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import { storePathOf } from '../../support/releases.ts';
import { deletingGenerations, type Making, rootInMemory } from '../../support/root-machine.ts';

const [first, second, third] = [1, 2, 3].map((n) => storePathOf(n, `nixos-system-${n}`)) as [
  StorePath,
  StorePath,
  StorePath,
];
const by = { id: 'a'.repeat(12), emit: () => undefined };

/** Three generations, and a menu of systemd-boot that offers these systems, if any. */
async function scene(t: TestContext, offered: readonly StorePath[] | undefined, making: Making = {}) {
  const bootDirectory = await temporaryFolder(t);
  if (offered !== undefined) {
    await mkdir(join(bootDirectory, 'loader/entries'), { recursive: true });
    await writeFile(join(bootDirectory, 'loader/loader.conf'), 'default nixos-0.conf\n');
    for (const [i, system] of offered.entries())
      await writeFile(join(bootDirectory, `loader/entries/nixos-${i}.conf`), `options init=${system}/init\n`);
  }
  const made = await rootInMemory(t, {
    generations: [first, second, third],
    settings: { bootDirectory },
    ...making,
  });
  const { profile } = made.machine.settings;
  return {
    ...made,
    profile,
    /** As a kill between the steps leaves it. */
    cutOff: async (number: number, system: StorePath) => {
      await mkdir(`${profile}.leaving`, { recursive: true });
      await symlink(system, join(`${profile}.leaving`, String(number)));
      await unlink(`${profile}-${number}-link`);
    },
    left: async () => ({
      generations: (await readdir(join(profile, '..'))).filter((n) => /^system-\d+-link$/.test(n)).sort(),
      leaving: await readdir(`${profile}.leaving`).catch(() => undefined),
    }),
  };
}
const all = ['system-1-link', 'system-2-link', 'system-3-link'];

test('one that the menu still offers is a generation again; one that it does not offer goes', async (t) => {
  const { machine, cutOff, left, profile, events } = await scene(t, [third, first]);
  await cutOff(1, first);
  await cutOff(2, second);
  await settle(machine, 'cut-off');
  assert.deepEqual(await left(), { generations: ['system-1-link', 'system-3-link'], leaving: [] });
  assert.equal(await readlink(`${profile}-1-link`), first);
  assert.deepEqual(
    events.map((e) => [e.event, e.generation]),
    [['generation-kept', 1]],
  );
});

test('where no menu can be read, or none in force, it is a generation again, unless the menu was written', async (t) => {
  for (const offered of [undefined, [first]] as const) {
    const { machine, cutOff, left } = await scene(t, offered);
    await cutOff(1, first);
    await settle(machine, 'cut-off');
    assert.deepEqual(await left(), { generations: all, leaving: [] });
    await cutOff(1, first);
    await settle(machine, 'menu-written');
    assert.deepEqual((await left()).generations, ['system-2-link', 'system-3-link']);
  }
});

test('one that was not deleted yet is only let go, and one whose number is taken gets another', async (t) => {
  const { machine, cutOff, left, profile } = await scene(t, [third, first]);
  await cutOff(1, first);
  await symlink(first, `${profile}-1-link`);
  await settle(machine, 'put-back');
  assert.deepEqual(await left(), { generations: all, leaving: [] });
  await cutOff(1, first);
  await symlink(second, `${profile}-1-link`);
  await settle(machine, 'put-back');
  assert.equal(await readlink(`${profile}-4-link`), first);
});

test('a system that another generation has as well goes, whatever the menu offers', async (t) => {
  const { machine, cutOff, left } = await scene(t, [third, first], { generations: [first, first, third] });
  await cutOff(1, first);
  await settle(machine, 'cut-off');
  assert.deepEqual((await left()).generations, ['system-2-link', 'system-3-link']);
});

test('where Nix deletes nothing, or the menu can’t be written, all are there again with their age', async (t) => {
  const generations = [{ number: 1, toplevel: first, made: 1_000_000_000_000 }];
  for (const failing of ['--delete-generations', 'boot']) {
    const { machine, left, profile } = await scene(t, [third, first], {
      answer: (argv) => (argv.includes(failing) ? { exitCode: 1, stderrTail: ['error: no'] } : undefined),
    });
    await assert.rejects(deleteHeld(machine, by, { generations, menu: 'if-offered' }));
    assert.deepEqual(await left(), { generations: all, leaving: [] });
    assert.ok((await lstat(`${profile}-1-link`)).isSymbolicLink());
  }
});

test('where the menu has none of them it is not written anew, unless it is asked for', async (t) => {
  for (const [menu, offered, count] of [
    ['if-offered', [third], 0],
    ['if-offered', [third, first], 1],
    ['if-offered', undefined, 1],
    ['anew', [third], 1],
  ] as const) {
    const { machine, started } = await scene(t, offered);
    const generations = [{ number: 1, toplevel: first, made: 0 }];
    await deleteHeld(machine, by, { generations, menu }).catch(() => undefined);
    const boots = started.filter(({ argv }) => argv[0] === `${third}/bin/switch-to-configuration`);
    assert.equal(boots.length, count, `${menu}, ${offered?.length}`);
  }
});

const oldest = { number: 1, toplevel: first, made: 0 };

test('once the menu is written it is gone, and told', async (t) => {
  const { machine, left } = await scene(t, [third], { answer: deletingGenerations });
  assert.deepEqual(await deleteHeld(machine, by, { generations: [oldest], menu: 'anew' }), [oldest]);
  assert.deepEqual(await left(), { generations: ['system-2-link', 'system-3-link'], leaving: [] });
});

test('where the menu that was written has lost what is installed, all are there again', async (t) => {
  let entry = '';
  const { machine, left } = await scene(t, [third], {
    answer: (argv) => {
      if (argv.includes('boot')) writeFileSync(entry, `options init=${second}/init\n`);
      return deletingGenerations(argv);
    },
  });
  entry = join(machine.settings.bootDirectory, 'loader/entries/nixos-0.conf');
  await assert.rejects(deleteHeld(machine, by, { generations: [oldest], menu: 'anew' }), {
    code: 'no-boot-entry',
  });
  assert.deepEqual(await left(), { generations: all, leaving: [] });
});

test('where no system is installed nobody writes a menu', async (t) => {
  const { machine, profile, started } = await scene(t, undefined);
  await unlink(profile);
  await assert.rejects(deleteHeld(machine, by, { generations: [], menu: 'anew' }), {
    code: 'activation-failed',
    detail: 'no system is installed',
  });
  assert.deepEqual(started, []);
});
