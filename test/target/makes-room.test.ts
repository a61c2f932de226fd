/**
 * A machine whose disk holds two systems and whose boot partition two kernels takes one release after the other by itself: what it
 * lacks is freed, no more, and what can be started stays whole at each step.
 */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultSystem, offeredSystems } from '../machines/boot-menu.ts';
import { killedRun } from '../machines/compiled.ts';
import { asBooted, restart } from '../machines/restart.ts';
import type { Outcome } from '../support/booted-machine.ts';
import { allCases } from '../support/cases.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { keepTable } from '../support/out.ts';
import { withOwnMounts } from '../support/own-mounts.ts';
import {
  forTwo,
  kernel,
  largeRelease,
  makeSmallMachine,
  payload,
  type SmallMachine,
} from '../support/small-machine.ts';

await withOwnMounts(import.meta.url, async () => {
  const shop = await makeWorkshop();
  /** Its boot builder is cut off where a file says so. */
  const cut = 'if [ -e /run/cut ] && [ "${1:-}" = boot ]; then rm /run/cut; kill -9 $$; fi';

  type Told = Outcome & {
    readonly freed?: { readonly generations: readonly number[]; readonly bootBytes: number };
  };

  const agent = async ({ target }: SmallMachine, boot: string): Promise<Told | undefined> => {
    const ran = await asBooted(target, boot, 'agent');
    assert.equal(ran.code, 0, ran.stderr);
    return (JSON.parse(ran.stdout) as Told[]).at(-1);
  };

  /** Whatever the menu offers can be started, and nothing of a deletion is left. */
  async function requireBootable({ target }: SmallMachine): Promise<void> {
    const offered = await offeredSystems(target.root);
    assert.ok(offered.length > 0);
    const script = 'for s; do nix-store --query --requisites $s >/dev/null; test -x $s/init; done';
    const ran = await target.run(['sh', '-euc', script, 'sh', ...offered]);
    assert.equal(ran.code, 0, ran.stderr);
  }

  const leaving = ({ target }: SmallMachine) =>
    readdir(join(target.root, 'nix/var/nix/profiles/system.leaving')).catch(() => []);

  async function requireWhole({ target }: SmallMachine): Promise<void> {
    const verified = await target.run(['nix-store', '--verify', '--check-contents']);
    assert.doesNotMatch(verified.stderr, /modified|disappeared|error/, verified.stderr);
  }

  /** Takes releases, and starts into each. */
  async function takeRow(
    machine: SmallMachine,
    from: number,
    to: number,
    onTaken?: (n: number, told: Told | undefined) => Promise<void>,
  ) {
    for (let n = from; n <= to; n++) {
      await machine.bring(await largeRelease(shop, n, n <= 2 ? { switchPrelude: cut } : {}));
      const told = await agent(machine, `boot-${n}`);
      assert.equal(told?.state, 'pending', `${n}: ${JSON.stringify(told)}`);
      await requireBootable(machine);
      await restart(machine.target);
      const confirmed = await agent(machine, `boot-${n + 1}`);
      assert.equal(confirmed?.state, 'committed', JSON.stringify(confirmed));
      assert.equal(await defaultSystem(machine.target.root), confirmed?.toplevel);
      await requireBootable(machine);
      await onTaken?.(n, told);
    }
  }

  /** Two releases are on it, the second runs, and there is room for no other. */
  const golden = join(shop.folder, 'golden-copy');
  const first = await makeSmallMachine(shop, 'golden');
  await takeRow(first, 1, 2);
  await first.keep(golden);
  const third = await largeRelease(shop, 3);

  const releases = allCases ? 100 : 12;

  test(`${releases} releases in a row, each started into`, async (t) => {
    const machine = await makeSmallMachine(shop, 'row', { copyOf: golden });
    t.after(machine.close);
    await restart(machine.target);
    const rows: Record<string, unknown>[] = [];
    await takeRow(machine, 3, releases, async (n, told) => {
      rows.push({ release: n, state: 'committed', freed: told?.freed, ...(await machine.look()) });
    });
    await keepTable('makes-room', { releases: rows });
    assert.deepEqual((await machine.look()).generations, [releases - 1, releases]);
    await requireWhole(machine);
  });

  test('where it is only the boot partition, kernels leave it, and the store is left alone', async (t) => {
    const sizes = { ...forTwo, disk: forTwo.disk + 2 * (payload + kernel) };
    const machine = await makeSmallMachine(shop, 'boot', { copyOf: golden, sizes });
    t.after(machine.close);
    await restart(machine.target);
    const paths = await machine.target.validPaths();
    await machine.bring(third);
    const told = await agent(machine, 'boot-3');
    assert.equal(told?.state, 'pending', JSON.stringify(told));
    assert.deepEqual(told?.freed?.generations, [1]);
    assert.ok((told?.freed?.bootBytes ?? 0) >= kernel);
    assert.match(
      told?.notices?.join() ?? '',
      /^Made room: generation 1 deleted, 3 MiB freed on the boot partition\.$/,
    );
    const after = await machine.target.validPaths();
    assert.deepEqual(
      paths.filter((path) => !after.includes(path)),
      [],
    );
    await requireBootable(machine);
  });

  test('without `collect` nothing is ever deleted, and the bundle waits', async (t) => {
    const machine = await makeSmallMachine(shop, 'never', { copyOf: golden, policy: { collect: 'never' } });
    t.after(machine.close);
    await restart(machine.target);
    await machine.bring(third);
    const told = await agent(machine, 'boot-3');
    assert.deepEqual([told?.state, told?.code], ['deferred', 'no-space']);
    assert.deepEqual((await machine.look()).generations, [1, 2]);
  });

  test('what a person’s root needs stays, and the refusal says what was freed and what is lacking', async (t) => {
    const machine = await makeSmallMachine(shop, 'rooted', { copyOf: golden });
    t.after(machine.close);
    const { target } = machine;
    await restart(target);
    const mine = (
      await target.run(['readlink', '-f', '/nix/var/nix/profiles/system-1-link/payload'])
    ).stdout.trim();
    const rooted = await target.run(['nix-store', '--realise', mine, '--add-root', `${target.root}/mine`]);
    assert.equal(rooted.code, 0, rooted.stderr);
    await machine.bring(third);
    const told = await agent(machine, 'boot-3');
    assert.deepEqual([told?.state, told?.code], ['deferred', 'no-space']);
    assert.match(
      told?.detail ?? '',
      /^[\d.]+ MiB needed, of which 1 MiB must stay free; only [\d.]+ MiB free \(.*\); generation 1 deleted, \d+ store paths collected \([\d.]+ MiB\)$/,
    );
    assert.equal((await target.run(['nix-store', '--check-validity', mine])).code, 0);
    await requireBootable(machine);
    await requireWhole(machine);
  });

  test('after each commit what the retention lets go is deleted, and the receipt says so', async (t) => {
    const sizes = { disk: forTwo.disk + payload + kernel, boot: forTwo.boot + kernel };
    const policy = { collect: 'after-commit' };
    const machine = await makeSmallMachine(shop, 'after', { copyOf: golden, sizes, policy });
    t.after(machine.close);
    await restart(machine.target);
    await machine.bring(third);
    assert.equal((await agent(machine, 'boot-3'))?.freed, undefined, 'there was room');
    assert.deepEqual((await machine.look()).generations, [1, 2, 3]);
    await restart(machine.target);
    const confirmed = await agent(machine, 'boot-4');
    assert.equal(confirmed?.state, 'committed');
    assert.deepEqual((await machine.look()).generations, [2, 3]);
    const folder = join(machine.target.stateDirectory, 'receipts');
    const receipts = await Promise.all(
      (await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')),
    );
    const freed = receipts.map((text) => JSON.parse(text) as Told).flatMap((r) => r.freed ?? []);
    assert.deepEqual(
      freed.map(({ generations }) => generations),
      [[1]],
    );
    await requireBootable(machine);
    assert.deepEqual(await leaving(machine), []);
  });

  test('a boot builder that is cut off while room is made loses nothing', async (t) => {
    const machine = await makeSmallMachine(shop, 'cut', { copyOf: golden });
    t.after(machine.close);
    await restart(machine.target);
    await machine.target.run(['touch', '/run/cut']);
    await machine.bring(third);
    const told = await agent(machine, 'boot-3');
    assert.deepEqual([told?.state, told?.code], ['deferred', 'no-space']);
    assert.match(told?.detail ?? '', /; nothing freed; ended early: activation-failed: /);
    assert.deepEqual((await machine.look()).generations, [1, 2], 'it is there again');
    assert.deepEqual(await leaving(machine), []);
    await requireBootable(machine);
    assert.equal((await agent(machine, 'boot-3'))?.state, 'pending');
  });

  const points = [
    ['starting', '--delete-generations'],
    ['started', '--delete-generations'],
    ['starting', 'boot'],
    ['started', 'boot'],
    ['telling', 'collecting'],
    ['telling', 'room-made'],
  ] as const;
  for (const [i, [when, what]] of points.entries())
    for (const isRestarted of [false, true].filter((b) => allCases || b === (i % 2 === 0)))
      test(`killed ${when} ${what}${isRestarted ? ', restarted' : ''}: all that can be started is whole, and the release is taken`, async (t) => {
        const machine = await makeSmallMachine(shop, `killed-${i}-${isRestarted}`, { copyOf: golden });
        t.after(machine.close);
        const { target } = machine;
        await restart(target);
        await machine.bring(third);
        const killed = await target.run([
          process.execPath,
          killedRun,
          target.settingsFile,
          when,
          what,
          'boot-3',
        ]);
        assert.equal(killed.signal ?? killed.code, 'SIGKILL', killed.stderr);
        await requireBootable(machine);
        // Whoever collects now takes nothing that is needed.
        assert.equal((await target.run(['nix-collect-garbage'])).code, 0);
        await requireBootable(machine);
        if (isRestarted) await restart(target);
        const told = await agent(machine, isRestarted ? 'boot-4' : 'boot-3');
        assert.equal(told?.state, 'pending', JSON.stringify(told));
        await requireBootable(machine);
        await restart(target);
        assert.equal((await agent(machine, 'boot-5'))?.state, 'committed');
        assert.deepEqual((await machine.look()).generations, [2, 3]);
        assert.deepEqual(await leaving(machine), []);
        await requireWhole(machine);
      });
});
