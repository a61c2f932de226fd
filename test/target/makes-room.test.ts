/**
 * A machine whose disk holds two systems and whose boot partition two kernels takes one release after the other by itself: what it
 * lacks is freed, no more, and what can be started stays whole at each step.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultSystem, offeredSystems } from '../machines/boot-menu.ts';
import { asBooted, restart } from '../machines/restart.ts';
import type { Outcome } from '../support/booted-machine.ts';
import { allCases } from '../support/cases.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { keepTable } from '../support/out.ts';
import { withOwnMounts } from '../support/own-mounts.ts';
import { largeRelease, makeSmallMachine, type SmallMachine } from '../support/small-machine.ts';

await withOwnMounts(import.meta.url, async () => {
  const shop = await makeWorkshop();

  const agent = async ({ target }: SmallMachine, boot: string) => {
    const ran = await asBooted(target, boot, 'agent');
    assert.equal(ran.code, 0, ran.stderr);
    return JSON.parse(ran.stdout) as (Outcome & { readonly freed?: unknown })[];
  };

  /** Whatever the menu offers can be started. */
  async function requireBootable({ target }: SmallMachine): Promise<void> {
    const offered = await offeredSystems(target.root);
    assert.ok(offered.length > 0);
    const ran = await target.run(['sh', '-euc', 'for s; do nix-store --query --requisites $s >/dev/null; test -x $s/init; done', 'sh', ...offered]);
    assert.equal(ran.code, 0, ran.stderr);
  }

  const releases = allCases ? 100 : 12;

  test(`${releases} releases in a row, each started into`, async (t) => {
    const machine = await makeSmallMachine(shop, 'row', { collect: 'when-needed' });
    const { target } = machine;
    t.after(machine.close);
    const rows: Record<string, unknown>[] = [];
    for (let n = 1; n <= releases; n++) {
      await machine.bring(await largeRelease(shop, n));
      const [installed] = await agent(machine, `boot-${n}`);
      assert.equal(installed?.state, n === 1 ? 'pending' : 'pending', `${n}: ${JSON.stringify(installed)}`);
      await requireBootable(machine);
      await restart(target);
      const [confirmed] = await agent(machine, `boot-${n + 1}`);
      assert.equal(confirmed?.state, 'committed', JSON.stringify(confirmed));
      assert.equal(await defaultSystem(target.root), confirmed?.toplevel);
      await requireBootable(machine);
      rows.push({ release: n, state: confirmed?.state, freed: installed?.freed, ...(await machine.look()) });
    }
    await keepTable('makes-room', { releases: rows });
    const { generations } = await machine.look();
    assert.deepEqual(generations, [releases - 1, releases]);
    const verified = await target.run(['nix-store', '--verify', '--check-contents']);
    assert.doesNotMatch(verified.stderr, /modified|disappeared|error/, verified.stderr);
  });
});
